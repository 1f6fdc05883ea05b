"""``python -m octosr``: the console command, where its script is not on the path."""

from octosr.commands import main

if __name__ == "__main__":
    main()
