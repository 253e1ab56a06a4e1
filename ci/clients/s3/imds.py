# SPDX-License-Identifier: Apache-2.0
"""boto3 (or, with the argument "aws", the aws command) with credentials from the metadata service,
which are refreshed through three rotations. For boto3 the clock of this process and of the service
is in a file; it is moved to a quarter of an hour before the credentials end. A command asks each time:
there the service rotates every two seconds."""

import os
import re
import sys
import time

from checks import Checks, Different, env, run, same

BUCKET, ENDPOINT = env("S3_BUCKET"), env("S3_ENDPOINT")
BEFORE_THE_END = (350, 650, 950)  # minutes: a set lives 6 hours, a new one comes every 5
for name in ("AWS_EC2_METADATA_DISABLED", "AWS_CA_BUNDLE"):
	os.environ.pop(name, None)
os.environ.update(AWS_EC2_METADATA_SERVICE_ENDPOINT=env("IMDS_ENDPOINT"), AWS_METADATA_SERVICE_TIMEOUT="5",
	AWS_METADATA_SERVICE_NUM_ATTEMPTS="3", AWS_REGION=env("S3_REGION"), AWS_PAGER="")
check = Checks()
seen = []


def move_clock(minutes):
	path = env("FAKETIME_TIMESTAMP_FILE")
	with open(path + ".new", "w", encoding="ascii") as file:
		file.write(f"{minutes:+d}m\n")
	os.replace(path + ".new", path)


class Boto:
	"""One client for the whole run: it refreshes by itself."""

	def __init__(self):
		import boto3
		import botocore.config
		import botocore.exceptions
		self.errors = botocore.exceptions
		self.boto3, self.config = boto3, botocore.config.Config(s3={"addressing_style": "path"})
		self.session = boto3.session.Session(region_name=env("S3_REGION"))
		self.s3 = self.session.client("s3", endpoint_url=ENDPOINT, config=self.config)

	def use(self, key, body):
		self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
		same("body", self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read(), body)
		return self.session.get_credentials().get_frozen_credentials()

	def try_old(self, credentials):
		old = self.boto3.client("s3", endpoint_url=ENDPOINT, config=self.config,
			region_name=env("S3_REGION"), aws_access_key_id=credentials.access_key,
			aws_secret_access_key=credentials.secret_key, aws_session_token=credentials.token)
		try:
			old.list_objects(Bucket=BUCKET)
		except self.errors.ClientError as error:
			return error.response["Error"]["Code"]
		raise Different("accepted")


class Aws:
	"""A process each time: it asks anew."""

	def command(self, *arguments):
		status, out, err = run(["aws", "--debug", "--endpoint-url", ENDPOINT, *arguments])
		if status != 0:
			raise Different(err[-300:])
		return out, err

	def use(self, key, body):
		path = os.path.join(env("S3_WORK"), "body")
		with open(path, "wb") as file:
			file.write(body)
		at = ("--bucket", BUCKET, "--key", key)
		self.command("s3api", "put-object", *at, "--body", path)
		_, err = self.command("s3api", "get-object", *at, path)
		with open(path, "rb") as file:
			same("body", file.read(), body)
		return re.findall(r"Credential=(ASIA[A-Z0-9]+)/", err)[-1]


def access_key(credentials):
	return credentials if isinstance(credentials, str) else credentials.access_key


def use(client, number):
	credentials = client.use(f"key {number}", b"x" * number)
	if access_key(credentials) in [access_key(old) for old in seen]:
		raise Different(f"the same credentials after rotation {number}")
	seen.append(credentials)


def rotated(client, number):
	if isinstance(client, Aws):
		time.sleep(2)
	else:
		move_clock(BEFORE_THE_END[number - 1])
	use(client, number)


def expired(client):
	same("the first credentials", client.try_old(seen[0]), "ExpiredToken")


def main():
	client = Aws() if sys.argv[1:] == ["aws"] else Boto()
	check("first credentials", use, client, 0)
	for number in (1, 2, 3):
		check(f"rotation {number}", rotated, client, number)
	if isinstance(client, Aws):
		check.skip("every command asks for credentials of its own", "expired credentials")
	else:
		check("expired credentials", expired, client)
	check.end()


main()
