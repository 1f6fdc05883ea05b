"""From score tables to answers: python report.py; which cells are missing: python report.py --missing"""

from octosr.commands.report import main

if __name__ == "__main__":
    main()
