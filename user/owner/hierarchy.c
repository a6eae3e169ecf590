// SPDX-License-Identifier: Apache-2.0
/* Finding the cgroup hierarchy, and cgroups in it: by walking, and by id through a file handle. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"
#include "owner/hierarchy.h"

#define CGROUP1_MAGIC 0x27e0eb
#define CGROUP2_MAGIC 0x63677270

/* Type of a kernfs file handle (FILEID_KERNFS): the 64-bit id and nothing else. */
#define HANDLE_TYPE_KERNFS 0xfe

/* The number of the v1 hierarchy that the cpu controller is on; 0 if it is on the unified one. */
static int cpu_hierarchy_id(void)
{
	FILE *file = fopen("/proc/cgroups", "re");
	char line[256], name[64];
	int id, found = 0;

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %d", name, &id) == 2 && !strcmp(name, "cpu"))
			found = id;
	fclose(file);
	return found;
}

static bool mount_fits(const struct mntent *mount, bool v1)
{
	if (v1)
		return !strcmp(mount->mnt_type, "cgroup") && hasmntopt(mount, "cpu");
	return !strcmp(mount->mnt_type, "cgroup2");
}

/* The first mount point of the wanted hierarchy. */
static int find_mount(bool v1, char *root, size_t bytes)
{
	FILE *file = setmntent("/proc/self/mounts", "re");
	struct mntent mount;
	char line[PATH_MAX];
	int err = -ENOENT;

	if (!file)
		return -errno;
	while (err && getmntent_r(file, &mount, line, sizeof(line))) {
		if (!mount_fits(&mount, v1))
			continue;
		err = strlen(mount.mnt_dir) < bytes ? 0 : -ENAMETOOLONG;
		if (!err)
			strcpy(root, mount.mnt_dir);
	}
	endmntent(file);
	return err;
}

static int choose_root(const char *root, struct hierarchy *hierarchy)
{
	struct statfs fs;
	int err;

	if (root) {
		/* What the kernel says of a cgroup's place never goes through a link. */
		if (!realpath(root, hierarchy->root))
			return -errno;
		if (statfs(root, &fs))
			return -errno;
		hierarchy->v1 = fs.f_type == CGROUP1_MAGIC;
		if (hierarchy->v1 ? !cpu_hierarchy_id() : fs.f_type != CGROUP2_MAGIC)
			return -EMEDIUMTYPE;
		return 0;
	}
	hierarchy->v1 = cpu_hierarchy_id() != 0;
	err = find_mount(hierarchy->v1, hierarchy->root, sizeof(hierarchy->root));
	if (err != -ENOENT || !hierarchy->v1)
		return err;
	hierarchy->v1 = false;
	return find_mount(false, hierarchy->root, sizeof(hierarchy->root));
}

int hierarchy_open(const char *root, struct hierarchy *hierarchy)
{
	int err;

	memset(hierarchy, 0, sizeof(*hierarchy));
	hierarchy->root_fd = -1;
	err = choose_root(root, hierarchy);
	if (!err) {
		hierarchy->root_fd = open(hierarchy->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = hierarchy->root_fd < 0 ? -errno : 0;
	}
	if (err && !root && err == -ENOENT)
		log_error("no cgroup hierarchy is mounted; mount one: "
			  "mount -t cgroup2 none /sys/fs/cgroup");
	else if (err)
		log_error(
			"cannot use the cgroup hierarchy at %s: %s; name another with --cgroup-root",
			root ? root : hierarchy->root, strerror(-err));
	if (!err && hierarchy->v1)
		hierarchy->id = cpu_hierarchy_id();
	return err;
}

void hierarchy_close(struct hierarchy *hierarchy)
{
	if (hierarchy->root_fd >= 0)
		close(hierarchy->root_fd);
	hierarchy->root_fd = -1;
}

/* The path below the hierarchy's root; "/" for the root itself. */
static const char *below_root(const struct hierarchy *hierarchy, const char *path)
{
	size_t bytes = strlen(hierarchy->root);

	if (strncmp(path, hierarchy->root, bytes))
		return path;
	return path[bytes] ? path + bytes : "/";
}

int hierarchy_path(const struct hierarchy *hierarchy, uint64_t cgroup, char *path, size_t bytes)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + sizeof(cgroup)];
	} of = {.handle = {.handle_bytes = sizeof(cgroup), .handle_type = HANDLE_TYPE_KERNFS}};
	char link[64], full[PATH_MAX];
	const char *below;
	ssize_t length;
	int fd;

	memcpy(of.handle.f_handle, &cgroup, sizeof(cgroup));
	fd = open_by_handle_at(hierarchy->root_fd, &of.handle, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ESTALE ? -ENOENT : -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, full, sizeof(full) - 1);
	close(fd);
	if (length < 0)
		return -errno;
	full[length] = 0;
	below = below_root(hierarchy, full);
	if (strlen(below) >= bytes)
		return -ENAMETOOLONG;
	strcpy(path, below);
	return 0;
}

int hierarchy_walk(const struct hierarchy *hierarchy,
		   int (*visit)(void *context, uint64_t cgroup, const char *path), void *context)
{
	char *roots[] = {(char *)hierarchy->root, NULL};
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *entry;
	int err = 0;

	if (!tree)
		return -errno;
	while (!err && (entry = fts_read(tree)))
		if (entry->fts_info == FTS_D)
			err = visit(context, entry->fts_statp->st_ino,
				    below_root(hierarchy, entry->fts_path));
	fts_close(tree);
	return err;
}
