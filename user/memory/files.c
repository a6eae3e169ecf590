// SPDX-License-Identifier: Apache-2.0
/*
 * Memory sampled from the files of cgroups. A descriptor of each cgroup's directory is kept, which
 * costs the kernel little and saves it the way there; descriptors of the files would cost it a page
 * each. One buffer serves all files.
 */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/idmap.h"
#include "memory/files.h"
#include "memory/stat.h"

#define DEFAULT_MOST_CGROUPS 16384

/* The longest, memory.stat of v1, has some 3 KiB. */
#define FILE_BYTES_MAX 16384

struct directory {
	uint64_t cgroup;
	int cpu;    /* on v2 the only one, and the same as `memory` */
	int memory; /* -1: the memory controller is nowhere */
};

struct memory_files {
	const struct hierarchy *hierarchy;
	int memory_root; /* of the hierarchy that the memory controller is on; -1: none */
	struct directory *directories;
	size_t nr, capacity, most;
	struct idmap by_cgroup; /* to the index of its directory */
	uint64_t malformed, dropped;
	size_t bytes; /* in `text` */
	char text[FILE_BYTES_MAX];
};

/* Where the memory controller is mounted on v1, which need not be where the cpu controller is. */
static int open_memory_root(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	char line[PATH_MAX];
	struct mntent mount;
	int fd = -1;

	if (!mounts)
		return -1;
	while (fd < 0 && getmntent_r(mounts, &mount, line, sizeof(line)))
		if (!strcmp(mount.mnt_type, "cgroup") && hasmntopt(&mount, "memory"))
			fd = open(mount.mnt_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	endmntent(mounts);
	return fd;
}

int memory_files_open(const struct memory_options *options, struct memory_files **ret)
{
	struct memory_files *files = calloc(1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	files->hierarchy = options->hierarchy;
	files->most = options->most_cgroups ? options->most_cgroups : DEFAULT_MOST_CGROUPS;
	files->memory_root = options->hierarchy->v1
				     ? open_memory_root()
				     : fcntl(options->hierarchy->root_fd, F_DUPFD_CLOEXEC, 0);
	*ret = files;
	return 0;
}

static void close_directory(const struct directory *directory)
{
	if (directory->memory >= 0 && directory->memory != directory->cpu)
		close(directory->memory);
	close(directory->cpu);
}

void memory_files_close(struct memory_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < files->nr; i++)
		close_directory(&files->directories[i]);
	if (files->memory_root >= 0)
		close(files->memory_root);
	idmap_free(&files->by_cgroup);
	free(files->directories);
	free(files);
}

static int open_below(int root, const char *path)
{
	while (*path == '/')
		path++;
	return openat(root, *path ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int open_directory(const struct memory_files *files, const char *path,
			  struct directory *directory)
{
	directory->cpu = open_below(files->hierarchy->root_fd, path);
	if (directory->cpu < 0)
		return -errno;
	directory->memory = directory->cpu;
	if (files->hierarchy->v1)
		directory->memory =
			files->memory_root < 0 ? -1 : open_below(files->memory_root, path);
	return 0;
}

static int grow(struct memory_files *files)
{
	size_t capacity = files->capacity ? files->capacity * 2 : 64;
	struct directory *more;

	if (files->nr < files->capacity)
		return 0;
	more = reallocarray(files->directories, capacity, sizeof(*more));
	if (!more)
		return -ENOMEM;
	files->directories = more;
	files->capacity = capacity;
	return 0;
}

static int add(struct memory_files *files, uint64_t cgroup, const char *path)
{
	struct directory *directory;
	int err = grow(files);

	if (err)
		return err;
	directory = &files->directories[files->nr];
	directory->cgroup = cgroup;
	err = open_directory(files, path, directory);
	if (err)
		return err;
	err = idmap_put(&files->by_cgroup, cgroup, (uint32_t)files->nr);
	if (err)
		close_directory(directory);
	else
		files->nr++;
	return err;
}

int memory_files_add(struct memory_files *files, uint64_t cgroup, const char *path)
{
	uint32_t index;
	int err = -ENOSPC;

	if (idmap_get(&files->by_cgroup, cgroup, &index) || !strcmp(path, "/"))
		return 0;
	if (files->nr < files->most)
		err = add(files, cgroup, path);
	if (err == -EMFILE || err == -ENFILE)
		err = -ENOSPC;
	files->dropped += err && err != -ENOENT;
	return err;
}

void memory_files_remove(struct memory_files *files, uint64_t cgroup)
{
	uint32_t index;

	if (!idmap_get(&files->by_cgroup, cgroup, &index))
		return;
	idmap_remove(&files->by_cgroup, cgroup);
	close_directory(&files->directories[index]);
	files->directories[index] = files->directories[--files->nr];
	/* Its key is in the map already: nothing is allocated. */
	if (index < files->nr)
		idmap_put(&files->by_cgroup, files->directories[index].cgroup, index);
}

/* The whole of a file into the buffer. False if there is no such file, or it cannot be read. */
static bool read_file(struct memory_files *files, int directory, const char *name)
{
	int fd = directory < 0 ? -1 : openat(directory, name, O_RDONLY | O_CLOEXEC);
	ssize_t bytes;

	if (fd < 0)
		return false;
	bytes = read(fd, files->text, sizeof(files->text));
	close(fd);
	files->bytes = bytes > 0 ? (size_t)bytes : 0;
	return bytes > 0;
}

static bool parse_lines(struct memory_files *files, struct stat_field *fields, size_t nr)
{
	if (files->bytes < sizeof(files->text) &&
	    stat_read_lines(files->text, files->bytes, fields, nr))
		return true;
	files->malformed++;
	return false;
}

/* A field of the sample, if the file has a number: not if it says "max". */
static void read_number(struct memory_files *files, int directory, const char *name,
			struct mlprof_memory *sample, uint64_t bit, __u64 *field)
{
	bool limited = false;
	uint64_t value = 0;

	if (!read_file(files, directory, name))
		return;
	if (!stat_read_number(files->text, files->bytes, &value, &limited)) {
		files->malformed++;
		return;
	}
	if (!limited)
		return;
	*field = value;
	sample->known |= bit;
}

static void take_field(struct mlprof_memory *sample, uint64_t bit, __u64 *field,
		       const struct stat_field *from)
{
	if (!from->found)
		return;
	*field = from->value;
	sample->known |= bit;
}

/* `names`: anon, file, inactive_file, pgmajfault as this hierarchy calls them. */
static void sample_stat(struct memory_files *files, int directory, const char *const names[4],
			struct mlprof_memory *sample)
{
	struct stat_field fields[] = {
		{.name = names[0]}, {.name = names[1]}, {.name = names[2]}, {.name = names[3]}};

	if (!read_file(files, directory, "memory.stat") || !parse_lines(files, fields, 4))
		return;
	take_field(sample, MLPROF_MEMORY_ANON, &sample->anon_bytes, &fields[0]);
	take_field(sample, MLPROF_MEMORY_FILE, &sample->file_bytes, &fields[1]);
	take_field(sample, MLPROF_MEMORY_INACTIVE_FILE, &sample->inactive_file_bytes, &fields[2]);
	take_field(sample, MLPROF_MEMORY_MAJOR_FAULTS, &sample->major_faults, &fields[3]);
}

static void sample_oom_kills(struct memory_files *files, int directory, const char *name,
			     struct mlprof_memory *sample)
{
	struct stat_field field = {.name = "oom_kill"};

	if (read_file(files, directory, name) && parse_lines(files, &field, 1))
		take_field(sample, MLPROF_MEMORY_OOM_KILLS, &sample->oom_kills, &field);
}

/* False if the cgroup is gone: this file is in every cgroup, whatever its controllers. */
static bool sample_cpu(struct memory_files *files, int directory, struct mlprof_memory *sample)
{
	bool v1 = files->hierarchy->v1;
	struct stat_field fields[] = {{.name = "nr_throttled"},
				      {.name = v1 ? "throttled_time" : "throttled_usec"}};

	if (!read_file(files, directory, "cpu.stat"))
		return false;
	if (!parse_lines(files, fields, 2) || !fields[0].found || !fields[1].found)
		return true;
	sample->throttled_periods = fields[0].value;
	sample->throttled_ns = fields[1].value * (v1 ? 1 : 1000);
	sample->known |= MLPROF_MEMORY_THROTTLED;
	return true;
}

static void sample_pressure(struct memory_files *files, int directory, const char *name,
			    enum mlprof_pressure resource, struct mlprof_memory *sample)
{
	struct stat_pressure pressure;

	/* Where PSI is turned off the file is there and cannot be read. */
	if (!read_file(files, directory, name))
		return;
	if (!stat_read_pressure(files->text, files->bytes, &pressure)) {
		files->malformed++;
		return;
	}
	if (pressure.has_some)
		sample->known |= MLPROF_MEMORY_PRESSURE_SOME(resource);
	if (pressure.has_full)
		sample->known |= MLPROF_MEMORY_PRESSURE_FULL(resource);
	sample->some_ns[resource] = pressure.some_usec * 1000;
	sample->full_ns[resource] = pressure.full_usec * 1000;
}

static void sample_v2(struct memory_files *files, int directory, struct mlprof_memory *sample)
{
	static const char *const names[4] = {"anon", "file", "inactive_file", "pgmajfault"};

	read_number(files, directory, "memory.current", sample, MLPROF_MEMORY_CURRENT,
		    &sample->current_bytes);
	/* Without the memory controller none of the others is there either. */
	if (sample->known & MLPROF_MEMORY_CURRENT) {
		sample_stat(files, directory, names, sample);
		read_number(files, directory, "memory.peak", sample, MLPROF_MEMORY_PEAK,
			    &sample->peak_bytes);
		read_number(files, directory, "memory.max", sample, MLPROF_MEMORY_LIMIT,
			    &sample->limit_bytes);
		sample_oom_kills(files, directory, "memory.events", sample);
	}
	sample_pressure(files, directory, "cpu.pressure", MLPROF_PRESSURE_CPU, sample);
	sample_pressure(files, directory, "memory.pressure", MLPROF_PRESSURE_MEMORY, sample);
	sample_pressure(files, directory, "io.pressure", MLPROF_PRESSURE_IO, sample);
}

static void sample_v1(struct memory_files *files, int directory, struct mlprof_memory *sample)
{
	static const char *const names[4] = {"total_rss", "total_cache", "total_inactive_file",
					     "total_pgmajfault"};
	/* "No limit" is the largest number of pages there is. */
	uint64_t unlimited = (uint64_t)INT64_MAX / (uint64_t)sysconf(_SC_PAGESIZE) *
			     (uint64_t)sysconf(_SC_PAGESIZE);

	read_number(files, directory, "memory.usage_in_bytes", sample, MLPROF_MEMORY_CURRENT,
		    &sample->current_bytes);
	sample_stat(files, directory, names, sample);
	read_number(files, directory, "memory.max_usage_in_bytes", sample, MLPROF_MEMORY_PEAK,
		    &sample->peak_bytes);
	read_number(files, directory, "memory.limit_in_bytes", sample, MLPROF_MEMORY_LIMIT,
		    &sample->limit_bytes);
	if (sample->limit_bytes >= unlimited) {
		sample->known &= ~(uint64_t)MLPROF_MEMORY_LIMIT;
		sample->limit_bytes = 0;
	}
	sample_oom_kills(files, directory, "memory.oom_control", sample);
}

/* Reading the root's statistics has those of all cgroups added up; reads after it find it done. */
static void flush(struct memory_files *files)
{
	read_file(files, files->memory_root, "memory.stat");
}

int memory_files_sample(struct memory_files *files, memory_visit *visit, void *context)
{
	flush(files);
	for (size_t i = 0; i < files->nr; i++) {
		const struct directory *directory = &files->directories[i];
		struct mlprof_memory sample = {.cgroup = directory->cgroup};

		if (!sample_cpu(files, directory->cpu, &sample))
			continue;
		if (files->hierarchy->v1)
			sample_v1(files, directory->memory, &sample);
		else
			sample_v2(files, directory->memory, &sample);
		visit(context, &sample);
	}
	return 0;
}

void memory_files_count(const struct memory_files *files, uint64_t *malformed, uint64_t *dropped)
{
	*malformed = files->malformed;
	*dropped = files->dropped;
}
