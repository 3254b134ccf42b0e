"""What every program needs: modules that load when they are touched, files of the screens, and the version."""

# ruff: noqa: N999  # PyInstaller chooses the name
# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false

from PyInstaller.utils.hooks import collect_data_files, copy_metadata

hiddenimports = [f"rx_multicast_ipc.{name}" for name in ("capture", "notebook", "testing")]
datas = collect_data_files("rx_multicast_ipc") + copy_metadata("rx-multicast-ipc")
