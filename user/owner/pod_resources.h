/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices and CPUs the kubelet has given to whom, by its pod-resources socket. Its answers
 * name pods and do not give their UIDs.
 */
#ifndef MLPROF_OWNER_POD_RESOURCES_H
#define MLPROF_OWNER_POD_RESOURCES_H

#include "owner/fetch.h"
#include "owner/pods.h"

/* One message as protobuf. NULL `data`: that message could not be had. */
struct pod_resources_message {
	const void *data;
	size_t bytes;
};

/*
 * Reads the answers to List and to GetAllocatableResources into a list that has only devices and is
 * the caller's. 0; -EBADMSG for what is no such message, or wants more memory than it should;
 * -ENOMEM. `skipped` counts devices without a name or beyond POD_DEVICES_MAX.
 */
int pod_resources_read(struct pod_resources_message list, struct pod_resources_message allocatable,
		       const struct pods **devices, uint64_t *skipped);

/* Asks for both. Errors as those of grpc_call(). */
int pod_resources_ask(struct fetcher *fetcher, const char *socket,
		      const struct fetch_limits *limits, const struct pods **devices,
		      uint64_t *skipped, struct fetch_error *error);

#endif
