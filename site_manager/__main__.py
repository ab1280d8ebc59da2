"""`python -m site_manager` is the command `site-manager`."""

from site_manager.cli import main

if __name__ == "__main__":
    main()
