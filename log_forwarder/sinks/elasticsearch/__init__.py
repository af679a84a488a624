"""Elasticsearch and OpenSearch: ``elasticsearch://host:9200/logs-docker-default``."""

from log_forwarder.sinks import http
from log_forwarder.sinks.contract import ReadBack, Setup, SinkKind
from log_forwarder.sinks.elasticsearch import setup
from log_forwarder.sinks.elasticsearch.options import OPTIONS
from log_forwarder.sinks.elasticsearch.readback import stored_texts
from log_forwarder.sinks.elasticsearch.sink import make

SINK = SinkKind(
    name="elasticsearch",
    schemes=("elasticsearch", "elasticsearch+https"),
    help="Elasticsearch or OpenSearch, by _bulk: elasticsearch://host:9200/logs-docker-default",
    options={**OPTIONS, **http.OPTIONS},
    make=make,
    setup=Setup(setup.OPTIONS, setup.set_up),
    read_back=ReadBack(stored_texts, ordered=False),
)
