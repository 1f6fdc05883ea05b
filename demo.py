"""Something to see in minutes, on any machine: make demo"""

from octosr.commands.demo import main

if __name__ == "__main__":
    main()
