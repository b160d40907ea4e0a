"""Checks the compose files by an implementation of the Compose Specification: `tox -e iac`.

Guarantee: exit code 0 if every key and value of the files, with the settings of an `.env` filled in, is one that the
specification knows. (For the older docker-compose 1.29, `docker-compose config` checks the same.)
"""

import json

from compose_spec import PyCompose

from infrastructure.docker.tests.composed import DEVELOPMENT, FILE, compose, variables

if __name__ == "__main__":
    for file in (FILE, DEVELOPMENT):
        found = PyCompose.from_json(json.dumps(compose(variables(), file)))
        print(f"{file.name}: {len(found.service_names())} services, as the Compose Specification has them")
