"""What an integrator writes with the generated Python client: `drive_python.py URL TOKEN`."""

import sys
from http import HTTPStatus

from tidemark_client import AuthenticatedClient, Client
from tidemark_client.api.keys import change_key, create_key, get_key, list_keys
from tidemark_client.api.reports import get_provisional_report
from tidemark_client.api.sessions import get_me
from tidemark_client.api.sites import get_site
from tidemark_client.api.webhooks import create_webhook_endpoint
from tidemark_client.models import (
    EndpointMade,
    KeyChange,
    KeyIssued,
    KeyPage,
    KeyShown,
    KeyState,
    Liveness,
    NewEndpoint,
    NewKey,
    Problem,
    SiteShown,
)

url, token = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=token)

body = NewKey(name="Hotel Python", reference="ERP 1")
made = create_key.sync(client=client, body=body, idempotency_key="python-1")
assert isinstance(made, KeyIssued), made
again = create_key.sync(client=client, body=body, idempotency_key="python-1")
assert isinstance(again, KeyIssued)
assert again.id == made.id

taken = create_key.sync_detailed(client=client, body=body)
assert taken.status_code == HTTPStatus.CONFLICT
assert isinstance(taken.parsed, Problem)
assert taken.parsed.code == "key_name_taken"

read = get_key.sync_detailed(made.id, client=client)
assert isinstance(read.parsed, KeyShown)
version = read.headers["ETag"]
changed = change_key.sync(made.id, client=client, body=KeyChange(reference="ERP 2"), if_match=version)
assert isinstance(changed, KeyShown)
assert changed.reference == "ERP 2"
stale = change_key.sync(made.id, client=client, body=KeyChange(reference="ERP 3"), if_match=version)
assert isinstance(stale, Problem)
assert stale.code == "changed_meanwhile"

site = get_site.sync(made.site_id, client=client)
assert isinstance(site, SiteShown)
assert site.liveness is Liveness.NEVER_CONNECTED
page = list_keys.sync(client=client, limit=1, state=KeyState.ISSUED)
assert isinstance(page, KeyPage)
assert len(page.items) == 1

endpoint = create_webhook_endpoint.sync(client=client, body=NewEndpoint(url="http://127.0.0.1:9/hook"))
assert isinstance(endpoint, EndpointMade)
assert str(endpoint.public_key).startswith("whpk_")
assert get_provisional_report.sync_detailed(client=client).status_code == HTTPStatus.OK
stranger = get_me.sync(client=Client(base_url=url))
assert isinstance(stranger, Problem)
assert stranger.code == "credential_invalid"
print("the Python client is content")
