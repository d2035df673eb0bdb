"""Runs in a browser: pages over a store, to be served by themselves or mounted in an application."""

from .app import Dashboard as Dashboard
from .app import create_app as create_app
