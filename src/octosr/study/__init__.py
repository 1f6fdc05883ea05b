"""From score tables to answers: no torch here, a report is made on a laptop."""
