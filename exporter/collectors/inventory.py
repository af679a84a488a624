"""How the exporter's picture of the containers is kept, and where usage comes from."""

from exporter.families import Family, HostCollector, Scrape, Values


def values(scrape: Scrape) -> Values:
    """Return one value for each family."""
    counts = scrape.counts
    return (counts.connects, counts.reconciles, counts.missed_changes, scrape.sources)


COLLECTOR = HostCollector(
    name="inventory",
    help="how the picture of the containers is kept",
    families=(
        Family(
            "docker_exporter_engine_connects_total", "counter", "Times the Engine's event stream was opened."
        ),
        Family(
            "docker_exporter_inventory_reconciles_total", "counter", "Times all containers were listed anew."
        ),
        Family(
            "docker_exporter_inventory_missed_changes_total",
            "counter",
            "Changes that a reconcile found and no event had announced.",
        ),
        Family(
            "docker_exporter_usage_containers",
            "gauge",
            "Running containers by the source of their usage in this scrape; none: it could not be read.",
            ("source",),
        ),
    ),
    make=lambda _: values,
)
