"""One name, one endpoint: what the targets of a campaign are called, checked before anything is sent."""

from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace
from observatory.endpoints.catalogue import requested_facts
from observatory.runner.campaign_execution import RunRequest
from observatory.store.folder.target_addresses import address_hash, elsewhere, normalised

FIX = "rename one of them (--name NAME goes with --url)"


def check_names(request: RunRequest) -> dict[str, str | None]:
    """Name -> address as it was given, None for a target that is started here.

    BadInput where two targets of the campaign have one name: at different addresses, or the same one
    twice. Spellings of an address are equal as store.folder.target_addresses.normalised has it.
    """
    found: dict[str, str | None] = {}
    for target in request.targets:
        address = requested_facts(target).get("endpoint")
        if target.name in found:
            same = _one(found[target.name]) == _one(address)
            what = f"{target.name} is named twice"
            raise BadInput(
                what if same else f"two targets at different addresses are called {target.name}",
                where="targets",
                fix="name it once" if same else FIX,
            )
        found[target.name] = address
    return found


def _one(address: str | None) -> str | None:
    return None if address is None else normalised(address)


def address_notes(workspace: Workspace, request: RunRequest) -> list[str]:
    """Return a line for each target whose name had another address before."""
    earlier = {
        name: elsewhere(workspace, name, address_hash(workspace, address))
        for name, address in check_names(request).items()
        if address is not None
    }
    return [
        f"note: {name} was at another address in {run_id}: its series is of two endpoints "
        "(--name, or name: in its file, keeps them apart)"
        for name, run_id in earlier.items()
        if run_id is not None
    ]
