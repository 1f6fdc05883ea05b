"""Enlarge anybody's own images: python predict.py technique=bicubic input=photos/ output=big/"""

from octosr.commands.predict import main

if __name__ == "__main__":
    main()
