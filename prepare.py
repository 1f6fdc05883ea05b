"""Get the datasets, check them, or build one from your own images: python prepare.py dataset=all"""

from octosr.commands.prepare import main

if __name__ == "__main__":
    main()
