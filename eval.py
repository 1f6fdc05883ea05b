"""Super-resolve and score: python eval.py technique=dan dataset=isaid"""

from octosr.commands.eval import main

if __name__ == "__main__":
    main()
