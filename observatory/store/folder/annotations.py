"""A person's label, note and publication mark of a run, in a file next to the sealed ones: annotations.json.

The seal does not cover it. A run folder of an earlier version has its label in the file `label`.
"""

from pathlib import Path
from typing import Any

import msgspec

from observatory.core.errors import EnvironmentFailed
from observatory.core.run import Manifest
from observatory.store.files import disk_error, replacing

ANNOTATIONS_NAME = "annotations.json"
LABEL_NAME = "label"


class Annotations(msgspec.Struct, frozen=True, omit_defaults=True):
    """Each field as a person last set it; UNSET: as the run was started."""

    label: str | msgspec.UnsetType | None = msgspec.UNSET
    publish: bool | msgspec.UnsetType = msgspec.UNSET
    notes: str | msgspec.UnsetType | None = msgspec.UNSET


def read_annotations(folder: Path) -> Annotations:
    """Return the annotations of a run folder's file; EnvironmentFailed where it cannot be read."""
    path = folder / ANNOTATIONS_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Annotations)
    except FileNotFoundError:
        return _of_earlier_versions(folder / LABEL_NAME)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EnvironmentFailed(
            f"the file is damaged: {error}", where=str(path), fix="correct or remove it"
        ) from error
    except OSError as error:
        raise disk_error(error, path) from error


def _of_earlier_versions(path: Path) -> Annotations:
    try:
        return Annotations(label=path.read_text(encoding="utf-8").strip() or None)
    except FileNotFoundError:
        return Annotations()
    except OSError as error:
        raise disk_error(error, path) from error


def annotate(folder: Path, **fields: Any) -> None:
    """Set fields of Annotations; the others stay."""
    annotations = msgspec.structs.replace(read_annotations(folder), **fields)
    with replacing(folder / ANNOTATIONS_NAME) as part:
        part.write_bytes(msgspec.json.encode(annotations) + b"\n")


def is_annotated(folder: Path) -> bool:
    """Return whether the run has any annotation."""
    return (folder / ANNOTATIONS_NAME).exists() or (folder / LABEL_NAME).exists()


def label_of(folder: Path, manifest: Manifest) -> str | None:
    """Return the run's label: as a person last set it, else as started."""
    label = read_annotations(folder).label
    return manifest.label if label is msgspec.UNSET else label or None


def publish_of(folder: Path, manifest: Manifest) -> bool:
    """Return whether the run is for the published site, the same way."""
    publish = read_annotations(folder).publish
    return manifest.publish if publish is msgspec.UNSET else publish


def notes_of(folder: Path) -> str | None:
    """Return what a person wrote about the run."""
    notes = read_annotations(folder).notes
    return None if notes is msgspec.UNSET else notes
