#!/bin/sh
# Packages MODEL as IMAGE, compares it with SERVING_IMAGE, and pushes it. Variables that are empty or
# not set leave their step out.
set -eu

modelpack package "$MODEL" -t "$IMAGE" ${EXAMPLE:+--example "$EXAMPLE"} \
    ${CACHE_FROM:+--cache-from "$CACHE_FROM"} ${CACHE_TO:+--cache-to "$CACHE_TO"} \
    --report smoke.json --junit smoke.xml
if [ -n "${SERVING_IMAGE:-}" ]; then
    docker pull --quiet "$SERVING_IMAGE"
    modelpack diff "$SERVING_IMAGE" "$IMAGE" ${EXAMPLE:+--example "$EXAMPLE"} \
        --fail-on breaking --markdown diff.md
fi
if [ -n "${PUSH:-}" ]; then
    # The digest goes to a file: deploy this image, and not the tag.
    modelpack push "$IMAGE" ${COSIGN_KEY:+--key "$COSIGN_KEY"} > pushed.txt
fi
