"""Train one technique on one dataset: python train.py technique=dan dataset=isaid"""

from octosr.commands.train import main

if __name__ == "__main__":
    main()
