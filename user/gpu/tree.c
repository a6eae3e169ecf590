// SPDX-License-Identifier: Apache-2.0
/* Files of /proc and /sys, read whole and bounded. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "gpu/span.h"
#include "gpu/tree.h"

int tree_open(int dir, const char *path)
{
	int fd = openat(dir, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Until the end: some files of procfs give no more than a page at a time. */
static int read_all(int fd, size_t most, struct buf *into)
{
	for (;;) {
		char *room = buf_room(into, 4096);
		ssize_t bytes = room ? read(fd, room, 4096) : 0;

		if (!room)
			return -ENOMEM;
		if (bytes < 0)
			return -errno;
		if (!bytes)
			return 0;
		into->len += (size_t)bytes;
		if (into->len > most)
			return -EFBIG;
	}
}

int tree_read(int dir, const char *path, size_t most, struct buf *into)
{
	/* Not to wait for whatever else may lie there. */
	int fd = openat(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int err;

	into->len = 0;
	if (fd < 0)
		return -errno;
	err = read_all(fd, most, into);
	close(fd);
	if (err)
		into->len = 0;
	return err;
}

/* The start of a file without the line's end; a longer one is not what was looked for. */
static bool read_line(int dir, const char *path, char *text, size_t size, struct span *line)
{
	int fd = openat(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? -1 : read(fd, text, size);
	struct span all = {text, bytes > 0 ? (size_t)bytes : 0}, more, value;

	if (fd >= 0)
		close(fd);
	return all.bytes && all.bytes < size && span_line(&all, '\n', line, &value) &&
	       !span_line(&all, '\n', &more, &value);
}

bool tree_number(int dir, const char *path, uint64_t *value)
{
	char text[64];
	struct span line;

	if (!read_line(dir, path, text, sizeof(text), &line))
		return false;
	return span_number(line, value) ||
	       (line.bytes > 2 && !memcmp(line.at, "0x", 2) && span_hex(line, value));
}

bool tree_text(int dir, const char *path, char *text, size_t size)
{
	char read[512];
	struct span line;

	*text = '\0';
	return read_line(dir, path, read, sizeof(read), &line) && span_copy(line, text, size);
}

bool tree_device_number(int dir, const char *path, uint32_t *major, uint32_t *minor)
{
	struct span text, first, second;
	uint64_t high, low;
	char read[64];

	if (!read_line(dir, path, read, sizeof(read), &text) ||
	    !span_line(&text, ':', &first, &second) || !span_number(first, &high) ||
	    !span_number(second, &low) || high >= 1 << 12 || low >= 1 << 20)
		return false;
	*major = (uint32_t)high;
	*minor = (uint32_t)low;
	return true;
}

bool tree_link_name(int dir, const char *path, char *name, size_t size)
{
	char target[PATH_MAX];
	ssize_t bytes = readlinkat(dir, path, target, sizeof(target) - 1);
	const char *slash;

	*name = '\0';
	if (bytes <= 0)
		return false;
	target[bytes] = '\0';
	slash = strrchr(target, '/');
	slash = slash ? slash + 1 : target;
	return *slash && span_copy((struct span){slash, strlen(slash)}, name, size);
}

bool tree_name_number(const char *name, const char *prefix, uint32_t *number)
{
	size_t bytes = strlen(prefix);
	uint64_t value;

	if (strncmp(name, prefix, bytes) != 0 ||
	    !read_unsigned(name + bytes, 0, UINT32_MAX, &value))
		return false;
	*number = (uint32_t)value;
	return true;
}

DIR *tree_names(int dir, const char *path)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = fd < 0 ? NULL : fdopendir(fd);

	if (!names && fd >= 0)
		close(fd);
	return names;
}

int tree_each(int dir, const char *path, size_t most, tree_visit *visit, void *context,
	      uint64_t *skipped)
{
	DIR *names = tree_names(dir, path);
	const struct dirent *entry;
	int err = 0;

	if (!names)
		return -errno;
	for (size_t i = 0; !err && (entry = readdir(names));) {
		if (entry->d_name[0] == '.')
			continue;
		if (i++ < most)
			err = visit(context, dirfd(names), entry->d_name);
		else
			++*skipped;
	}
	closedir(names);
	return err;
}
