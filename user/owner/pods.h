/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of this node as the cluster knows them: names, owners, containers, what they asked for.
 * A list is read once and never changes; whoever holds it lets go with pods_put(), from any thread.
 * Strings belong to the list. Absent is "" for a string and -1 for an amount.
 */
#ifndef MLPROF_OWNER_PODS_H
#define MLPROF_OWNER_PODS_H

#include <stddef.h>
#include <stdint.h>

/* What a container may use at least, or at most. */
struct pod_amounts {
	int64_t cpu_milli; /* thousandths of a core */
	int64_t memory_bytes;
	int64_t gpus; /* devices of all resources of the form VENDOR/gpu and nvidia.com/mig-* */
};

/* Only those of the same kind may be summed: an init container's request is not on top. */
enum pod_container_kind {
	CONTAINER_APP,
	CONTAINER_SIDECAR, /* an init container that runs beside the others */
	CONTAINER_INIT,
	CONTAINER_EPHEMERAL,
};

/* Init, sidecar and ephemeral containers too. */
struct pod_container {
	enum pod_container_kind kind;
	const char *name;
	const char *id; /* 64 digits as a rule, without "RUNTIME://"; "" until it has run */
	const char *previous_id; /* of its last run before this one */
	const char *runtime;	 /* "containerd", "cri-o", "docker" */
	struct pod_amounts request, limit;
};

struct pod_label {
	const char *name, *value;
};

struct pod {
	const char *namespace_, *name, *uid;
	const char *cgroup_uid; /* the UID that its cgroup bears: of a static pod its config.hash */
	const char *owner_kind, *owner_name; /* Deployment and not its ReplicaSet */
	const char *qos; /* Guaranteed, Burstable or BestEffort; "" if only the logs are known */
	const struct pod_label *labels; /* those that were asked for and that it has */
	size_t nr_labels;
	const struct pod_container *containers;
	size_t nr_containers;
};

/* A device or a resource that the kubelet has given to a container. */
struct pod_device {
	const char *namespace_, *pod, *container;
	const char *resource; /* "nvidia.com/gpu"; "cpu" for CPUs of its own */
	const char *id;	      /* as its device plugin or driver names it; of CPUs "0-3,8" */
};

struct pods {
	const struct pod *pod; /* one per UID and per cgroup_uid, sorted by the latter */
	size_t nr;
	const struct pod_device *devices; /* from the pod-resources socket; NULL: not known */
	size_t nr_devices;
	const struct pod_device *allocatable; /* what there is to give; no pod. NULL: not known */
	size_t nr_allocatable;
};

/* The pod whose cgroup bears `cgroup_uid`; NULL if there is none. `pods` may be NULL. */
const struct pod *pods_find(const struct pods *pods, const char *cgroup_uid);

/* Holds the list once more; each hold is let go with pods_put(). NULL is allowed in both. */
const struct pods *pods_hold(const struct pods *pods);
void pods_put(const struct pods *pods);

#endif
