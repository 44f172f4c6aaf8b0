"""The arrival processes: one file and one line each."""

from typing import TYPE_CHECKING, Annotated, Union, get_args

from pydantic import Field

from observatory.core.arrivals.closed import ClosedArrivals
from observatory.core.arrivals.constant import ConstantArrivals
from observatory.core.arrivals.poisson import PoissonArrivals
from observatory.core.arrivals.process import ArrivalProcess

ARRIVALS: tuple[type[ArrivalProcess], ...] = (
    ClosedArrivals,
    ConstantArrivals,
    PoissonArrivals,
)

if TYPE_CHECKING:
    Arrivals = ArrivalProcess  # for the type checker only the traits exist
else:
    Arrivals = Annotated[Union[ARRIVALS], Field(discriminator="kind")]  # noqa: UP007


def arrival_label(kind: str) -> str:
    """Return how a page names the process of this kind; "" for one that this version does not have."""
    for process in ARRIVALS:
        if kind in get_args(process.model_fields["kind"].annotation):
            return process.label
    return ""
