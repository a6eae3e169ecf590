// SPDX-License-Identifier: Apache-2.0
/* Every open file of every process is asked for its device number. Nothing is opened for it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/clock.h"
#include "gpu/holders.h"
#include "gpu/tree.h"

/* The clock is read once for so many files. */
#define FILES_PER_CLOCK 32

struct gpu_walk {
	int root;
	DIR *proc;  /* NULL: between two rounds */
	DIR *files; /* of one process; NULL: the next one is to be opened */
	uint32_t tgid;
};

struct step {
	const struct gpu_devices *devices;
	const struct gpu_walk_bounds *bounds;
	gpu_holder_visit *visit;
	void *context;
	struct gpu_walk_counts *counts;
	uint64_t done; /* files looked at, and processes, which cost something too */
	uint64_t clock_at, end_ns;
	bool late;
};

int gpu_walk_new(int root, struct gpu_walk **walk)
{
	struct gpu_walk *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->root = root;
	*walk = made;
	return 0;
}

static void close_directory(DIR **directory)
{
	if (*directory)
		closedir(*directory);
	*directory = NULL;
}

void gpu_walk_free(struct gpu_walk *walk)
{
	if (!walk)
		return;
	close_directory(&walk->files);
	close_directory(&walk->proc);
	free(walk);
}

static void look_at(const struct gpu_walk *walk, struct step *step, const char *name)
{
	struct gpu_holder holder = {.tgid = (pid_t)walk->tgid};
	struct stat about;

	if (!tree_name_number(name, "", &holder.fd))
		return;
	step->done++;
	step->counts->files++;
	if (fstatat(dirfd(walk->files), name, &about, 0) || !S_ISCHR(about.st_mode))
		return;
	holder.node = gpu_devices_node(step->devices, major(about.st_rdev), minor(about.st_rdev));
	if (!holder.node)
		return;
	step->counts->found++;
	step->visit(step->context, &holder);
}

/* At least one is done in each step, or a bound that is too small would be one for ever. */
static bool is_enough(struct step *step)
{
	if (step->bounds->most_files && step->done >= step->bounds->most_files)
		return true;
	if (step->end_ns && step->done >= step->clock_at) {
		step->clock_at = step->done + FILES_PER_CLOCK;
		step->late = clock_ns(CLOCK_MONOTONIC) >= step->end_ns;
	}
	return step->late;
}

/* True when all files of the process were seen. */
static bool walk_files(struct gpu_walk *walk, struct step *step)
{
	const struct dirent *entry;

	while (!is_enough(step)) {
		entry = readdir(walk->files);
		if (!entry)
			return true;
		look_at(walk, step, entry->d_name);
	}
	return false;
}

/* Goes on to the next process, whose files may turn out not to be there; false at the last. */
static bool next_process(struct gpu_walk *walk, struct step *step)
{
	const struct dirent *entry = readdir(walk->proc);
	char path[TREE_NAME_BYTES + 4];

	if (!entry)
		return false;
	if (!tree_name_number(entry->d_name, "", &walk->tgid))
		return true;
	step->done++;
	snprintf(path, sizeof(path), "%s/fd", entry->d_name);
	walk->files = tree_names(dirfd(walk->proc), path);
	step->counts->unreadable += !walk->files && errno != ENOENT && errno != ESRCH;
	return true;
}

int gpu_walk_step(struct gpu_walk *walk, const struct gpu_devices *devices,
		  const struct gpu_walk_bounds *bounds, gpu_holder_visit *visit, void *context,
		  struct gpu_walk_counts *counts)
{
	struct step step = {
		.devices = devices,
		.bounds = bounds,
		.visit = visit,
		.context = context,
		.counts = counts,
		.clock_at = 1,
	};

	if (!walk->proc)
		walk->proc = tree_names(walk->root, "proc");
	if (!walk->proc)
		return -errno;
	if (bounds->most_ns)
		step.end_ns = clock_ns(CLOCK_MONOTONIC) + bounds->most_ns;
	while (!is_enough(&step)) {
		if (walk->files) {
			if (walk_files(walk, &step))
				close_directory(&walk->files);
		} else if (!next_process(walk, &step)) {
			close_directory(&walk->proc);
			return 1;
		}
	}
	return 0;
}
