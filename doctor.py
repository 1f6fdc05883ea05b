"""What this machine has, what is missing for which command, and the line that mends it: python doctor.py for=eval"""

from octosr.commands.doctor import main

if __name__ == "__main__":
    main()
