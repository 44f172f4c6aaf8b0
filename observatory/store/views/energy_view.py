"""The energy ledger with a row for each window: each subject's energy, its basis, and the idle energy.

Rows that only check others are in no sum, and a sum with a part missing is null. Plain SQL only:
analysts read the file with DuckDB 1.5 too.
"""

from observatory.store.views.view import View, ViewColumn, view_columns

_COUNTS = "counts IS DISTINCT FROM false"
_NO_OVERHEAD = "scope <> 'datacentre_overhead'"


_SCOPES = {
    "gpu": "GPUs of the subject",
    "cpu": "processors: whole for shared_host, by share of CPU time for target and client",
    "memory": "memory",
    "host": "whole machine, or a model of one",
}

CHOSEN = f"""chosen AS (
  SELECT * FROM energy WHERE {_COUNTS}
  QUALIFY row_number() OVER (
    PARTITION BY run_id, stage, subject, scope
    ORDER BY energy_j IS NULL, list_position(['measured', 'estimated', 'modelled'], basis), method
  ) = 1
), parts AS (
  SELECT *, scope NOT IN ('host', 'datacentre_overhead') AND
    bool_or(scope = 'host') OVER (PARTITION BY run_id, stage, subject) AS inside_host
  FROM chosen
)"""
"""CTEs chosen and parts: each scope of a window by its strongest method; what lies inside a `host`."""

_WINDOWS = f"""WITH {CHOSEN}, windows AS (
  SELECT run_id, stage, subject,
    (max(window_end_ns) - min(window_start_ns)) / 1e9 AS window_s,
    max(energy_j) FILTER (WHERE scope = 'gpu') AS gpu_j,
    max(energy_j) FILTER (WHERE scope = 'cpu') AS cpu_j,
    max(energy_j) FILTER (WHERE scope = 'memory') AS memory_j,
    max(energy_j) FILTER (WHERE scope = 'host') AS host_j,
    CASE WHEN bool_and(energy_j IS NOT NULL) FILTER (WHERE {_NO_OVERHEAD} AND NOT inside_host)
      THEN sum(energy_j ORDER BY energy_j) FILTER (WHERE {_NO_OVERHEAD} AND NOT inside_host) END AS energy_j,
    max(low_j) AS low_j,
    max(high_j) AS high_j,
    max(energy_j) FILTER (WHERE scope = 'datacentre_overhead') AS overhead_j,
    max(pue) AS pue,
    CASE WHEN bool_and(kgco2e IS NOT NULL) FILTER (WHERE {_NO_OVERHEAD} AND NOT inside_host)
      THEN sum(kgco2e ORDER BY kgco2e) FILTER (WHERE {_NO_OVERHEAD} AND NOT inside_host) END AS kgco2e,
    max(grid_zone) AS grid_zone,
    max(grid_kgco2e_per_kwh) AS grid_kgco2e_per_kwh,
    string_agg(scope || ' ' || basis, ', ' ORDER BY scope)
      FILTER (WHERE NOT inside_host AND energy_j IS NOT NULL) AS bases,
    string_agg(scope || ': ' || reason, '; ' ORDER BY scope)
      FILTER (WHERE NOT inside_host AND reason IS NOT NULL) AS reasons
  FROM parts GROUP BY run_id, stage, subject
)
"""


def energy_per_stage(identity: tuple[ViewColumn, ...]) -> View:
    """Return the view, each line with the run's identity before it."""
    return View(
        "energy_per_stage",
        "One row a run, stage (null: the idle baseline) and subject: its joules by scope, never "
        "mixed across subjects, with their bases. What the sensors gave: the "
        "figures of stage_summary are these where every gate of docs/energy.md is passed.",
        (
            *identity,
            *view_columns("""
                w.stage -- stage of the run, from 0; null for the idle baseline
                g.concurrency -- simulated users (closed loop)
                g.rate_per_s -- planned requests a second (open loop)
                w.subject -- target, client or shared_host
                w.window_s -- length of the window, s
            """),
            *(
                ViewColumn(f"{scope}_j", f"w.{scope}_j", f"{what}, joules; null where not had")
                for scope, what in _SCOPES.items()
            ),
            *view_columns("""
                w.energy_j -- sum of the scopes, joules; null where one is missing
                w.low_j -- lower end of a modelled range, joules
                w.high_j -- upper end of a modelled range, joules
                w.energy_j / w.window_s AS power_w -- mean power over the window, W
                i.energy_j / i.window_s AS idle_power_w
                    -- mean power of the same subject in the run's idle baseline, W
                w.overhead_j -- what a stated PUE adds, joules; not in energy_j
                w.pue -- the PUE that was stated
                w.kgco2e -- kg CO2e of energy_j
                w.grid_zone -- zone of the grid intensity
                w.grid_kgco2e_per_kwh -- kg CO2e per kWh
                w.bases -- each scope with its basis, e.g. gpu measured
                w.reasons -- why a scope is missing or doubtful
            """),
        ),
        """FROM windows w
JOIN runs u ON u.run_id = w.run_id
LEFT JOIN stages g ON g.run_id = w.run_id AND g.stage = w.stage
LEFT JOIN windows i
  ON i.run_id = w.run_id AND i.subject = w.subject AND i.stage IS NULL AND i.bases = w.bases""",
        _WINDOWS,
    )
