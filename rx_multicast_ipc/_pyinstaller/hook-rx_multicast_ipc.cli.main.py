"""What the command line needs: its commands load by their names."""

# ruff: noqa: N999  # PyInstaller chooses the name
# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = collect_submodules("rx_multicast_ipc.cli")
