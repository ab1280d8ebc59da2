"""The console: partner portal and MultiSite Manager in the browser, as HTML over the services that the API has.

Promise: every page works without script, says nothing of a stranger's rows, loads nothing from elsewhere, and every
change is a POST that carries the visitor's own token. docs/console.md tells how a page is made.
"""

from license_api.console.install import install
from license_api.console.live import Live

__all__ = ["Live", "install"]
