// SPDX-License-Identifier: Apache-2.0
/*
 * Cgroup paths, read segment by segment. Kubelet has two layouts: with the cgroupfs driver
 * /kubepods/burstable/pod<UID>/<id>, with the systemd driver
 * /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<UID>.slice/<runtime>-<id>.scope,
 * where dashes of the UID are underscores. What lies below a container belongs to it.
 */
#include <stdio.h>
#include <string.h>

#include "owner/path.h"

struct segment {
	const char *text;
	size_t bytes;
};

/* Steps to the next segment of a path; false at its end. */
static bool next_segment(const char **path, struct segment *segment)
{
	while (**path == '/')
		(*path)++;
	segment->text = *path;
	segment->bytes = strcspn(*path, "/");
	*path += segment->bytes;
	return segment->bytes > 0;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static size_t hex_run(const char *text, size_t bytes)
{
	size_t n = 0;

	while (n < bytes && is_hex(text[n]))
		n++;
	return n;
}

static bool ends_with(struct segment s, const char *suffix)
{
	size_t bytes = strlen(suffix);

	return s.bytes > bytes && !memcmp(s.text + s.bytes - bytes, suffix, bytes);
}

/* A UID of 8-4-4-4-12 digits with - or _ between them; canonical is the dash. */
static bool read_dashed_uid(const char *text, size_t bytes, char *uid)
{
	static const size_t groups[] = {8, 4, 4, 4, 12};
	size_t at = 0;

	for (size_t g = 0; g < 5; g++) {
		if (g && (at >= bytes || (text[at] != '-' && text[at] != '_')))
			return false;
		at += g > 0;
		if (bytes - at < groups[g] || hex_run(text + at, groups[g]) != groups[g])
			return false;
		at += groups[g];
	}
	if (at < bytes && is_hex(text[at]))
		return false;
	for (size_t i = 0; i < 36; i++)
		uid[i] = text[i] == '_' ? '-' : text[i];
	uid[36] = 0;
	return true;
}

/* The UID of a static pod is the hash of its manifest. */
static bool read_hash_uid(const char *text, size_t bytes, char *uid)
{
	if (hex_run(text, bytes) != 32)
		return false;
	memcpy(uid, text, 32);
	uid[32] = 0;
	return true;
}

/*
 * "pod<UID>" at the start of a segment or after a dash. The "d" is a hex digit, and so may be what
 * is before: only a full match counts. Returns how far it reaches, or 0.
 */
static size_t read_pod(struct segment s, char *uid)
{
	for (size_t i = 0; i + 3 < s.bytes; i++) {
		const char *text = s.text + i + 3;
		size_t bytes = s.bytes - i - 3;

		if (memcmp(s.text + i, "pod", 3) || (i && s.text[i - 1] != '-'))
			continue;
		if (read_dashed_uid(text, bytes, uid))
			return i + 3 + 36;
		if (read_hash_uid(text, bytes, uid))
			return i + 3 + 32;
	}
	return 0;
}

/*
 * A container id: 64 digits, bare or after a runtime's prefix, with or without ".scope". Mounts and
 * a runtime's own monitor are not containers.
 */
static bool read_container(struct segment s, char *container)
{
	size_t scope = ends_with(s, ".scope") ? 6 : 0, bytes = s.bytes - scope;
	const char *id = s.text + bytes - 64;

	if (bytes < 64 || hex_run(id, 64) != 64)
		return false;
	if (bytes > 64 && id[-1] != '-' && id[-1] != ':')
		return false;
	if (memmem(s.text, bytes, "conmon", 6))
		return false;
	memcpy(container, id, 64);
	container[64] = 0;
	return true;
}

static void copy_segment(char *to, size_t max, struct segment s)
{
	snprintf(to, max, "%.*s", (int)(s.bytes < max ? s.bytes : max - 1), s.text);
}

/* The innermost service or scope below the pods' tree is the unit; before any, the top cgroup. */
static void note_unit(struct path_owner *owner, struct segment s)
{
	if (!owner->unit[0] || ends_with(s, ".service") || ends_with(s, ".scope"))
		copy_segment(owner->unit, sizeof(owner->unit), s);
}

/* The segment that names the pod may go on to name the container: "...slice:cri-containerd:<id>". */
static void enter_pod(struct path_owner *owner, struct segment s, size_t reach)
{
	struct segment rest = {s.text + reach, s.bytes - reach};

	owner->is_pod = true;
	owner->container[0] = 0;
	if (rest.bytes)
		read_container(rest, owner->container);
}

void owner_of_path(const char *path, struct path_owner *owner)
{
	char uid[OWNER_POD_UID_MAX];
	struct segment s;

	memset(owner, 0, sizeof(*owner));
	while (next_segment(&path, &s)) {
		size_t reach = read_pod(s, uid);

		if (reach) {
			memcpy(owner->pod_uid, uid, sizeof(uid));
			enter_pod(owner, s, reach);
		} else if (owner->is_pod) {
			if (!owner->container[0])
				read_container(s, owner->container);
		} else {
			note_unit(owner, s);
		}
	}
	if (owner->is_pod)
		owner->unit[0] = 0;
	else if (!owner->unit[0])
		strcpy(owner->unit, "/");
}
