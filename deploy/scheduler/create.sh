#!/usr/bin/env bash
# Launches the template every night at three, by Cloud Scheduler; launch.json says what.
#
# Its body is the same every night, so the day is the job's own: run_date=yesterday, and the run id
# holds it. A launch that Cloud Scheduler repeats is the same run. Dataflow refuses a second job of
# this name while the first one runs.
set -euo pipefail
cd "$(dirname "$0")"

project=${1:?usage: deploy/scheduler/create.sh PROJECT [REGION]}
region=${2:-us-central1}

gcloud scheduler jobs create http imgcls-nightly \
  --project="$project" \
  --location="$region" \
  --schedule='0 3 * * *' \
  --time-zone=Etc/UTC \
  --uri="https://dataflow.googleapis.com/v1b3/projects/$project/locations/$region/flexTemplates:launch" \
  --http-method=POST \
  --message-body-from-file=launch.json \
  --headers=Content-Type=application/json \
  --oauth-service-account-email="imgcls-launcher@$project.iam.gserviceaccount.com" \
  --max-retry-attempts=3
