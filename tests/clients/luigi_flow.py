"""Luigi's own BatchTask, unchanged: one job that succeeds, one that fails. Prints what Luigi made of both."""

import json
import sys

from luigi.contrib.batch import BatchClient, BatchJobException

good, bad, registered = sys.argv[1:]
client = BatchClient(poll_time=1)
definition = client.register_job_definition(registered)["jobDefinitionArn"]
told = {"queue": client.get_active_queue(), "definition": definition}
told["good"] = client.wait_on_job(client.submit_job(good, {}, job_name="luigi-good"))
told["registered"] = client.wait_on_job(client.submit_job(definition, {"word": "three"}))
try:
    client.wait_on_job(client.submit_job(bad, {}))
except BatchJobException as error:
    told["bad"] = str(error)
told["by_name"] = client.get_job_id_from_name("nobody")
print(json.dumps(told))
