// SPDX-License-Identifier: Apache-2.0
/* The directories of logs, read into a list of pods: first the pods, then their containers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "owner/pod_logs.h"

/* How many names of a directory are looked at. */
#define ENTRIES_MAX 262144

/* Found on the way: one run of a container of one pod. */
struct run {
	const char *uid, *container, *id;
	uint64_t number;
};

struct reading {
	struct pods *pods;
	struct pod *pod;
	struct run *run;
	size_t nr_pods, nr_runs, pods_capacity, runs_capacity;
	uint64_t skipped;
};

typedef int (*visit_entry)(struct reading *reading, int fd, const char *name);

/* Calls `visit` for each name. 0 or -errno. */
static int each_entry(struct reading *reading, const char *path, visit_entry visit)
{
	const struct dirent *entry;
	DIR *dir = opendir(path);
	int err = 0;

	if (!dir)
		return -errno;
	for (size_t i = 0; !err && (entry = readdir(dir)); i++) {
		if (entry->d_name[0] == '.')
			continue;
		if (i < ENTRIES_MAX)
			err = visit(reading, dirfd(dir), entry->d_name);
		else
			reading->skipped++;
	}
	closedir(dir);
	return err;
}

/* Room for one more; `rows` is where the pointer to the array is. */
static int make_room(void **rows, size_t nr, size_t *capacity, size_t size)
{
	size_t more = *capacity ? *capacity * 2 : 64;
	void *grown = nr < *capacity ? *rows : reallocarray(*rows, more, size);

	if (!grown)
		return -ENOMEM;
	*capacity = nr < *capacity ? *capacity : more;
	*rows = grown;
	return 0;
}

static const char *copy(struct reading *reading, const char *text)
{
	return arena_text(pods_arena(reading->pods), text, strlen(text));
}

static int visit_pod(struct reading *reading, int fd, const char *name)
{
	void *rows = reading->pod;
	struct pod_log_dir dir;
	struct pod *pod;
	int err;

	(void)fd;
	if (!pod_log_dir_read(name, &dir) || reading->nr_pods == PODS_MAX) {
		reading->skipped++;
		return 0;
	}
	err = make_room(&rows, reading->nr_pods, &reading->pods_capacity, sizeof(*pod));
	reading->pod = rows;
	if (err)
		return err;
	pod = &reading->pod[reading->nr_pods];
	*pod = (struct pod){.owner_kind = "", .owner_name = "", .qos = ""};
	pod->namespace_ = copy(reading, dir.namespace_);
	pod->name = copy(reading, dir.pod);
	pod->uid = pod->cgroup_uid = copy(reading, dir.uid);
	reading->nr_pods += pod->namespace_ && pod->name && pod->uid;
	return pod->namespace_ && pod->name && pod->uid ? 0 : -ENOMEM;
}

/* The UID of the only pod of that name, or "". */
static const char *uid_by_name(const struct reading *reading, const struct pod_log_link *link)
{
	const char *uid = "";

	for (size_t i = 0; i < reading->nr_pods; i++) {
		const struct pod *pod = &reading->pod[i];

		if (strcmp(pod->name, link->pod) != 0 ||
		    strcmp(pod->namespace_, link->namespace_) != 0)
			continue;
		if (*uid)
			return "";
		uid = pod->uid;
	}
	return uid;
}

/* Where a link leads says more than its name: of which pod it is when two had the same name. */
static const char *find_uid(struct reading *reading, int fd, const char *name,
			    const struct pod_log_link *link, uint64_t *run)
{
	char target[PATH_MAX];
	struct pod_log_dir dir;
	ssize_t bytes = readlinkat(fd, name, target, sizeof(target) - 1);

	*run = 0;
	if (bytes > 0) {
		target[bytes] = '\0';
		if (pod_log_target_read(target, &dir, run))
			return copy(reading, dir.uid);
	}
	return uid_by_name(reading, link);
}

static int visit_link(struct reading *reading, int fd, const char *name)
{
	void *rows = reading->run;
	struct pod_log_link link;
	struct run *run;
	int err;

	if (!pod_log_link_read(name, &link) || reading->nr_runs == (size_t)PODS_MAX * 4) {
		reading->skipped++;
		return 0;
	}
	err = make_room(&rows, reading->nr_runs, &reading->runs_capacity, sizeof(*run));
	reading->run = rows;
	if (err)
		return err;
	run = &reading->run[reading->nr_runs];
	run->uid = find_uid(reading, fd, name, &link, &run->number);
	run->container = copy(reading, link.container);
	run->id = copy(reading, link.id);
	reading->nr_runs += run->uid && *run->uid;
	return run->uid && run->container && run->id ? 0 : -ENOMEM;
}

/* By pod, by container, the newest first. */
static int compare_runs(const void *a, const void *b)
{
	const struct run *x = a, *y = b;
	int order = strcmp(x->uid, y->uid);

	if (!order)
		order = strcmp(x->container, y->container);
	if (!order)
		order = x->number > y->number ? -1 : x->number < y->number;
	return order ? order : strcmp(x->id, y->id);
}

/* The first of the runs of `uid`; where none is, the end. */
static const struct run *first_run(const struct reading *reading, const char *uid)
{
	size_t low = 0, high = reading->nr_runs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(reading->run[middle].uid, uid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return reading->run + low;
}

static void add_run(struct pod_container *containers, size_t *nr, const struct run *run)
{
	struct pod_container *last = *nr ? &containers[*nr - 1] : NULL;

	if (last && !strcmp(last->name, run->container)) {
		if (!*last->previous_id)
			last->previous_id = run->id;
		return;
	}
	containers[(*nr)++] = (struct pod_container){
		.name = run->container,
		.id = run->id,
		.previous_id = "",
		.runtime = "",
		.request = POD_AMOUNTS_ABSENT,
		.limit = POD_AMOUNTS_ABSENT,
	};
}

static int set_containers(struct reading *reading, struct pod *pod)
{
	const struct run *first = first_run(reading, pod->uid),
			 *end = reading->run + reading->nr_runs;
	const struct run *last = first;
	struct pod_container *rows;

	while (last < end && !strcmp(last->uid, pod->uid) && last - first < POD_CONTAINERS_MAX)
		last++;
	rows = arena_alloc(pods_arena(reading->pods), (size_t)(last - first), sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (const struct run *run = first; run < last; run++)
		add_run(rows, &pod->nr_containers, run);
	pod->containers = rows;
	return 0;
}

/* Without links there are no containers, which is no reason to have no pods. */
static int read_links(struct reading *reading, const char *path)
{
	char beside[PATH_MAX];
	int err = 0;

	if (snprintf(beside, sizeof(beside), "%s/../containers", path) < (int)sizeof(beside))
		err = each_entry(reading, beside, visit_link);
	if (err == -ENOMEM)
		return err;
	if (!reading->nr_runs)
		return 0;
	qsort(reading->run, reading->nr_runs, sizeof(*reading->run), compare_runs);
	err = 0;
	for (size_t i = 0; !err && i < reading->nr_pods; i++)
		err = set_containers(reading, &reading->pod[i]);
	return err;
}

int pod_logs_read(const char *path, const struct pods **pods, uint64_t *skipped)
{
	struct reading reading = {.pods = pods_new()};
	size_t dropped;
	int err = reading.pods ? each_entry(&reading, path, visit_pod) : -ENOMEM;

	if (!err)
		err = read_links(&reading, path);
	if (!err)
		err = pods_set(reading.pods, reading.pod, reading.nr_pods, &dropped);
	*skipped = reading.skipped + (err ? 0 : dropped);
	if (err)
		pods_put(reading.pods);
	else
		*pods = reading.pods;
	free(reading.pod);
	free(reading.run);
	return err;
}
