// SPDX-License-Identifier: Apache-2.0
/*
 * File names that say which pod and container. No part of them may hold an underscore, so each is
 * split at underscores, from the ends; anything else in them is foreign.
 */
#include <stdlib.h>
#include <string.h>

#include "owner/pod_logs.h"

/* A stretch of a name. */
struct part {
	const char *text;
	size_t bytes;
};

static bool all_of(struct part part, const char *set)
{
	for (size_t i = 0; i < part.bytes; i++)
		if (!part.text[i] || !strchr(set, part.text[i]))
			return false;
	return part.bytes > 0;
}

static bool copy(struct part part, const char *set, char *to, size_t size)
{
	if (part.bytes >= size || !all_of(part, set))
		return false;
	memcpy(to, part.text, part.bytes);
	to[part.bytes] = '\0';
	return true;
}

/* Names of the Kubernetes API: DNS labels, of pods with dots between them. */
static bool copy_name(struct part part, char *to)
{
	return copy(part, "abcdefghijklmnopqrstuvwxyz0123456789-.", to, POD_NAME_MAX + 1);
}

static bool copy_uid(struct part part, char *to)
{
	return copy(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", to,
		    POD_UID_MAX + 1);
}

/* Takes from the end of `rest` what is behind the last `mark`, and the mark. */
static bool take_last(struct part *rest, char mark, struct part *last)
{
	const char *at = memrchr(rest->text, mark, rest->bytes);

	if (!at)
		return false;
	last->text = at + 1;
	last->bytes = rest->bytes - (size_t)(at + 1 - rest->text);
	rest->bytes = (size_t)(at - rest->text);
	return true;
}

static bool read_dir(struct part name, struct pod_log_dir *dir)
{
	struct part uid, pod;

	return take_last(&name, '_', &uid) && take_last(&name, '_', &pod) &&
	       copy_name(name, dir->namespace_) && copy_name(pod, dir->pod) &&
	       copy_uid(uid, dir->uid);
}

bool pod_log_dir_read(const char *name, struct pod_log_dir *dir)
{
	return read_dir((struct part){name, strlen(name)}, dir);
}

static bool drop_suffix(struct part *part, const char *suffix)
{
	size_t bytes = strlen(suffix);

	if (part->bytes <= bytes || memcmp(part->text + part->bytes - bytes, suffix, bytes) != 0)
		return false;
	part->bytes -= bytes;
	return true;
}

bool pod_log_link_read(const char *name, struct pod_log_link *link)
{
	struct part rest = {name, strlen(name)}, id, container, namespace_;

	return drop_suffix(&rest, ".log") && take_last(&rest, '-', &id) &&
	       id.bytes == POD_LOGS_ID_BYTES &&
	       copy(id, "0123456789abcdef", link->id, sizeof(link->id)) &&
	       take_last(&rest, '_', &container) && take_last(&rest, '_', &namespace_) &&
	       copy_name(rest, link->pod) && copy_name(namespace_, link->namespace_) &&
	       copy_name(container, link->container);
}

/* Runs are counted from 0; more digits than these are no count. */
static bool read_run(struct part part, uint64_t *run)
{
	char digits[16];

	if (!copy(part, "0123456789", digits, sizeof(digits)))
		return false;
	*run = strtoull(digits, NULL, 10);
	return true;
}

bool pod_log_target_read(const char *target, struct pod_log_dir *dir, uint64_t *run)
{
	struct part rest = {target, strlen(target)}, file, container, name;

	if (!drop_suffix(&rest, ".log") || !take_last(&rest, '/', &file) ||
	    !take_last(&rest, '/', &container) || !take_last(&rest, '/', &name))
		return false;
	return read_run(file, run) && read_dir(name, dir);
}
