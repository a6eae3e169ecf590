// SPDX-License-Identifier: Apache-2.0
/*
 * Cgroup paths, read segment by segment. Kubelet has two layouts: with the cgroupfs driver
 * /kubepods/burstable/pod<UID>/<id>, with the systemd driver
 * /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<UID>.slice/<runtime>-<id>.scope,
 * where dashes of the UID are underscores. What lies below a container belongs to it.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "owner/path.h"

const char *const path_kind_names[PATH_KINDS] = {
	[PATH_POD] = "pod",
	[PATH_POD_CONTAINER] = "container of a pod",
	[PATH_POD_OVERHEAD] = "overhead of a pod",
	[PATH_CONTAINER] = "container",
	[PATH_SERVICE] = "service",
	[PATH_SLURM_JOB] = "slurm job",
	[PATH_NOMAD_ALLOC] = "nomad allocation",
	[PATH_MACHINE] = "machine",
	[PATH_LXC] = "lxc container",
	[PATH_KATA_OVERHEAD] = "kata overhead",
	[PATH_OTHER] = "other",
};

struct segment {
	const char *text;
	size_t bytes;
};

struct reader {
	struct path_owner *owner;
	bool (*is_known)(void *context, const char *pod_uid);
	void *context;
	struct segment above; /* the segment before */
	bool pod_settled;     /* a pod that is known: none below it counts */
	bool at_pod;	      /* the segment before is the pod's */
	bool is_user;	      /* below the slice of a user */
};

/* Steps to the next segment of a path; false at its end. */
static bool next_segment(const char **path, struct segment *segment)
{
	static const char deleted[] = " (deleted)"; /* as /proc has it of a cgroup that is gone */
	size_t bytes = sizeof(deleted) - 1;

	while (**path == '/')
		(*path)++;
	segment->text = *path;
	segment->bytes = strcspn(*path, "/\n");
	*path += segment->bytes;
	if (segment->bytes > bytes && **path != '/' &&
	    !memcmp(segment->text + segment->bytes - bytes, deleted, bytes))
		segment->bytes -= bytes;
	return segment->bytes > 0;
}

static bool is_hex(char c)
{
	return isxdigit((unsigned char)c);
}

static size_t hex_run(const char *text, size_t bytes)
{
	size_t n = 0;

	while (n < bytes && is_hex(text[n]))
		n++;
	return n;
}

static size_t digit_run(const char *text, size_t bytes)
{
	size_t n = 0;

	while (n < bytes && isdigit((unsigned char)text[n]))
		n++;
	return n;
}

static bool is(struct segment s, const char *text)
{
	return s.bytes == strlen(text) && !memcmp(s.text, text, s.bytes);
}

static bool begins_with(struct segment s, const char *prefix)
{
	size_t bytes = strlen(prefix);

	return s.bytes > bytes && !memcmp(s.text, prefix, bytes);
}

static bool ends_with(struct segment s, const char *suffix)
{
	size_t bytes = strlen(suffix);

	return s.bytes > bytes && !memcmp(s.text + s.bytes - bytes, suffix, bytes);
}

static bool contains(struct segment s, const char *text)
{
	return memmem(s.text, s.bytes, text, strlen(text));
}

static struct segment without(struct segment s, const char *prefix, const char *suffix)
{
	size_t front = begins_with(s, prefix) ? strlen(prefix) : 0;
	size_t back = ends_with(s, suffix) ? strlen(suffix) : 0;

	return (struct segment){s.text + front, s.bytes - front - back};
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

/* Units that are named after a container and run nothing of it. */
static bool is_mount(struct segment s)
{
	return ends_with(s, ".mount") || ends_with(s, ".swap") || ends_with(s, ".socket");
}

/*
 * The id of a container: 64 digits, bare or after a runtime's prefix, with or without ".scope"; on
 * ECS 32 digits, a dash and a decimal number. Returns where it begins, or NULL.
 */
static const char *find_id(struct segment s, size_t *bytes)
{
	struct segment bare = without(s, "", ".scope");
	const char *id = bare.text + bare.bytes - 64;

	if (hex_run(bare.text, bare.bytes) == 32 && bare.bytes > 33 && bare.text[32] == '-' &&
	    bare.bytes - 33 <= 20 &&
	    digit_run(bare.text + 33, bare.bytes - 33) == bare.bytes - 33) {
		*bytes = bare.bytes;
		return bare.text;
	}
	if (bare.bytes < 64 || hex_run(id, 64) != 64 || contains(s, "conmon"))
		return NULL;
	if (bare.bytes > 64 && id[-1] != '-' && id[-1] != ':')
		return NULL;
	*bytes = 64;
	return id;
}

/* The runtime by what is before the id, or by the cgroup above a bare one. */
static const char *runtime_of(struct segment before, struct segment above)
{
	static const struct {
		const char *text, *runtime;
	} prefixes[] =
		{
			{"cri-containerd-", "containerd"},
			{":cri-containerd:", "containerd"},
			{"crio-", "crio"},
			{":crio:", "crio"},
			{"docker-", "docker"},
			{"libpod-", "podman"},
			{"libpod-payload-", "podman"},
			{"nerdctl-", "nerdctl"},
		},
	  parents[] = {
		  {"docker", "docker"},	     {"actions_job", "docker"},	  {"k8s.io", "containerd"},
		  {"default", "containerd"}, {"libpod_parent", "podman"},
	  };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (is(before, prefixes[i].text))
			return prefixes[i].runtime;
	for (size_t i = 0; !before.bytes && i < sizeof(parents) / sizeof(parents[0]); i++)
		if (is(above, parents[i].text))
			return parents[i].runtime;
	return "";
}

static bool read_container(struct path_owner *owner, struct segment s, struct segment above)
{
	size_t bytes;
	const char *id = find_id(s, &bytes);

	if (!id)
		return false;
	memcpy(owner->container, id, bytes);
	owner->container[bytes] = 0;
	owner->runtime =
		bytes == 64 ? runtime_of((struct segment){s.text, (size_t)(id - s.text)}, above)
			    : "ecs";
	return true;
}

static void set_unit(struct path_owner *owner, enum path_kind kind, const char *before,
		     struct segment s)
{
	size_t most = sizeof(owner->unit) - 1, front = strlen(before), bytes;

	front = front < most ? front : most;
	bytes = s.bytes < most - front ? s.bytes : most - front;
	owner->kind = kind;
	memmove(owner->unit, before, front);
	memmove(owner->unit + front, s.text, bytes);
	owner->unit[front + bytes] = 0;
}

/* The segment that names the pod may go on to name the container: "...slice:cri-containerd:<id>". */
static void enter_pod(struct reader *r, struct segment s, size_t reach, const char *uid)
{
	struct path_owner *owner = r->owner;
	struct segment rest =
		without((struct segment){s.text + reach, s.bytes - reach}, ".slice", "");

	if (r->pod_settled)
		return;
	strcpy(owner->pod_uid, uid);
	r->at_pod = true;
	r->pod_settled = r->is_known && r->is_known(r->context, uid);
	owner->is_pod = true;
	owner->is_top = true;
	owner->kind = PATH_POD;
	owner->container[0] = 0;
	owner->runtime = "";
	owner->outside_kubepods = rest.bytes && rest.text[0] == ':';
	if (rest.bytes && read_container(owner, rest, (struct segment){0}))
		owner->kind = PATH_POD_CONTAINER;
}

/* Mounts for a pod are the machine's work, and no owner of theirs is known. */
static void leave_pod(struct reader *r, struct segment s)
{
	struct path_owner *owner = r->owner;

	r->pod_settled = false;
	owner->is_pod = false;
	owner->pod_uid[0] = 0;
	set_unit(owner, PATH_OTHER, "", s);
}

static void below_pod(struct reader *r, struct segment s, bool directly)
{
	struct path_owner *owner = r->owner;

	if (owner->kind != PATH_POD)
		return;
	if (directly && is_mount(s)) {
		leave_pod(r, s);
	} else if (contains(s, "conmon")) {
		owner->kind = PATH_POD_OVERHEAD;
	} else if (read_container(owner, s, r->above)) {
		owner->kind = PATH_POD_CONTAINER;
		owner->is_top = true;
	}
}

/* "machine-qemu\x2d1\x2dNAME.scope", as systemd escapes the dashes. */
static void set_machine(struct path_owner *owner, struct segment s)
{
	struct segment escaped = without(s, "machine-", ".scope"), name;
	char plain[OWNER_UNIT_MAX];
	size_t bytes = 0, digits;

	for (size_t i = 0; i < escaped.bytes && bytes + 1 < sizeof(plain); i++) {
		bool dash = escaped.bytes - i >= 4 && !memcmp(escaped.text + i, "\\x2d", 4);

		plain[bytes++] = dash ? '-' : escaped.text[i];
		i += dash ? 3 : 0;
	}
	/* libvirt numbers its machines anew each time they start. */
	name = without(without((struct segment){plain, bytes}, "qemu-", ""), "lxc-", "");
	digits = digit_run(name.text, name.bytes);
	if (name.bytes < bytes && digits && digits + 1 < name.bytes && name.text[digits] == '-')
		name = (struct segment){name.text + digits + 1, name.bytes - digits - 1};
	set_unit(owner, PATH_MACHINE, "machine:", name);
}

static bool is_slurm(struct segment above)
{
	return is(above, "slurmstepd.scope") || ends_with(above, "_slurmstepd.scope") ||
	       begins_with(above, "uid_");
}

/* Layouts of those that manage jobs, machines and containers without Kubernetes. */
static bool read_job(struct reader *r, struct segment s)
{
	struct path_owner *owner = r->owner;
	struct segment job = without(s, "job_", "");
	char uid[OWNER_POD_UID_MAX];

	if (job.bytes < s.bytes && digit_run(job.text, job.bytes) == job.bytes &&
	    is_slurm(r->above))
		set_unit(owner, PATH_SLURM_JOB, "slurm:", job);
	else if ((is(r->above, "share.slice") || is(r->above, "reserve.slice")) && s.bytes > 36 &&
		 s.text[36] == '.' && read_dashed_uid(s.text, s.bytes, uid))
		set_unit(owner, PATH_NOMAD_ALLOC, "nomad:", (struct segment){uid, 36});
	else if (begins_with(s, "lxc.payload."))
		set_unit(owner, PATH_LXC, "lxc:", without(s, "lxc.payload.", ""));
	else if (begins_with(s, "lxc.monitor."))
		set_unit(owner, PATH_LXC, "lxc:", without(s, "lxc.monitor.", ""));
	else if (is(r->above, "lxc") || is(r->above, "lxc.payload"))
		set_unit(owner, PATH_LXC, "lxc:", s);
	else if (is(r->above, "kata_overhead"))
		set_unit(owner, PATH_KATA_OVERHEAD, "kata:", s);
	else if (is(r->above, "kubepods") && begins_with(s, "kata_"))
		set_unit(owner, PATH_KATA_OVERHEAD, "kata:", without(s, "kata_", ""));
	else if (begins_with(s, "machine-") && ends_with(s, ".scope"))
		set_machine(owner, s);
	else
		return false;
	return true;
}

/* What it is called has 12 digits of the id, as its own tools show it. */
static bool read_lone_container(struct reader *r, struct segment s)
{
	struct path_owner *owner = r->owner;
	size_t bytes;
	char before[32];

	if (is_mount(s) || !read_container(owner, s, r->above))
		return false;
	snprintf(before, sizeof(before), "%s:", owner->runtime[0] ? owner->runtime : "container");
	bytes = strlen(owner->container);
	set_unit(owner, PATH_CONTAINER, before,
		 (struct segment){owner->container, bytes == 64 ? 12 : bytes});
	return true;
}

/* A service in a container that is a whole machine: kind's and minikube's nodes. */
static void add_inner_service(struct path_owner *owner, struct segment s)
{
	struct segment container = {owner->unit, strcspn(owner->unit, "/")};
	char before[OWNER_UNIT_MAX];

	snprintf(before, sizeof(before), "%.*s/", (int)container.bytes, container.text);
	set_unit(owner, PATH_SERVICE, before, s);
}

/*
 * The innermost service or scope is the unit; before any, the top cgroup. Users have terminals and
 * applications without number, so one unit is all of a user.
 */
static void note_unit(struct reader *r, struct segment s)
{
	struct path_owner *owner = r->owner;
	static const struct segment conmon = {"conmon", 6};

	if (owner->container[0]) {
		if (ends_with(s, ".service"))
			add_inner_service(owner, s);
		return;
	}
	if (r->is_user)
		return;
	r->is_user = is(r->above, "user.slice") && begins_with(s, "user-");
	if (ends_with(s, ".service"))
		set_unit(owner, PATH_SERVICE, "", s);
	else if (contains(s, "conmon"))
		set_unit(owner, PATH_OTHER, "", conmon);
	else if (!owner->unit[0] || r->is_user || ends_with(s, ".scope") || is_mount(s))
		set_unit(owner, PATH_OTHER, "", s);
}

static bool is_job(enum path_kind kind)
{
	return kind == PATH_SLURM_JOB || kind == PATH_NOMAD_ALLOC || kind == PATH_MACHINE ||
	       kind == PATH_LXC || kind == PATH_KATA_OVERHEAD;
}

static void read_segment(struct reader *r, struct segment s)
{
	char uid[OWNER_POD_UID_MAX];
	size_t reach = is_mount(s) ? 0 : read_pod(s, uid);
	bool directly = r->at_pod;

	r->at_pod = false;
	if (reach)
		enter_pod(r, s, reach, uid);
	else if (r->owner->is_pod)
		below_pod(r, s, directly);
	else if (!is_job(r->owner->kind) && !read_job(r, s) &&
		 (r->owner->container[0] || !read_lone_container(r, s)))
		note_unit(r, s);
}

void owner_of_path(const char *path, bool (*is_known)(void *context, const char *pod_uid),
		   void *context, struct path_owner *owner)
{
	struct reader r = {.owner = owner, .is_known = is_known, .context = context};
	struct segment s;

	memset(owner, 0, sizeof(*owner));
	owner->kind = PATH_OTHER;
	owner->runtime = "";
	while (next_segment(&path, &s)) {
		if (is(s, "..")) {
			owner->relative = true;
			continue;
		}
		if (is(s, "cgroup.procs") && !*path)
			break;
		owner->is_top = false;
		read_segment(&r, s);
		r.above = s;
	}
	if (owner->is_pod)
		owner->unit[0] = 0;
	else if (!owner->unit[0])
		strcpy(owner->unit, "/");
}

const char *path_of_line(const char *line)
{
	static const char mount[] = "/sys/fs/cgroup/";
	static const char *const controllers[] = {"cpu,cpuacct/", "cpu/",     "cpuacct/", "memory/",
						  "pids/",	  "systemd/", "unified/", "blkio/"};
	size_t digits = digit_run(line, strlen(line));
	const char *path = line;

	/* HIERARCHY:CONTROLLERS:PATH */
	if (digits && line[digits] == ':' && strchr(line + digits + 1, ':'))
		path = strchr(line + digits + 1, ':') + 1;
	if (strncmp(path, mount, sizeof(mount) - 1))
		return path;
	path += sizeof(mount) - 1;
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		if (!strncmp(path, controllers[i], strlen(controllers[i])))
			return path + strlen(controllers[i]) - 1;
	return path - 1;
}
