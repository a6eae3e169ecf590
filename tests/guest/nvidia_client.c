// SPDX-License-Identifier: Apache-2.0
/*
 * Replays calls of NVIDIA's user space from a script, one a line, and tells what is true by then:
 *
 *	truth client=NAME handle=H pid=P alive=0|1 objects=N device_bytes=N pinned_bytes=N
 *		shared_bytes=N compute=N groups=N contexts=N gpu0_bytes=N gpu1_bytes=N
 *		gpu0_contexts=N gpu1_contexts=N held_min_ns=N held_max_ns=N peak_device_bytes=N
 *
 * one for every client that any of its processes ever made. What memory took is what the driver
 * wrote back; a context was held at least from the return of the call that made it to the begin of
 * the one that ended it, and at most from begin to return. -h lists what a script may say.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORDS    32
#define MAX_LINES    512
#define MAX_NAMES    64
#define MAX_FILES    64
#define MAX_PROCS    16
#define MAX_CLIENTS  64
#define MAX_OBJECTS  4096
#define MAX_DIRS     4
#define NOWHERE	     0x1000UL /* an address that nothing is mapped at */

#define NV(nr, size) _IOC(_IOC_READ | _IOC_WRITE, 'F', nr, size)
#define MAGIC_FAULT  0x6d6c0001 /* nvidia_devices has the structures of these */
#define MAGIC_COUNT  0x6d6c0002

enum kind {
	NOTHING,
	DEVICE_MEMORY,
	PINNED_MEMORY,
	SHARED_MEMORY
};

/* The truth, for all processes of a script. */

struct client {
	char name[16];
	uint32_t handle;
	pid_t pid;
	int file;
	bool alive;
	int contexts;
	int64_t min_since, max_since, held_min, held_max; /* ns */
	uint64_t device, peak;				  /* bytes */
};

struct object {
	bool used, doomed;
	int client, gpu;
	uint32_t handle, parent, class, needs[2];
	enum kind kind;
	uint64_t bytes;
};

struct process {
	pid_t pid, parent;
	bool holds[MAX_FILES];
	int64_t killed; /* when it was about to be */
};

struct truth {
	pthread_mutex_t lock;
	int nr_files, nr_procs, nr_clients;
	struct process procs[MAX_PROCS];
	struct client clients[MAX_CLIENTS];
	struct object objects[MAX_OBJECTS];
};

/* Names of a process's own. A child begins with its parent's. */
struct name {
	char name[16];
	int fd, file;	/* -1: not of a file */
	uint32_t value; /* a handle */
};

struct line {
	int number, words;
	char *word[MAX_WORDS];
};

/* One call, while it is made and judged. */
struct call {
	const struct line *line;
	int fd;
	unsigned long cmd;
	void *arg;
	uint32_t *status; /* in the structure; NULL: it has none */
	int64_t begin, end;
	int ret, error;
};

static struct truth *truth;
static struct process *me;
static struct name names[MAX_NAMES];
static struct line lines[MAX_LINES];
static int nr_lines;
static const char *script = "-";
static const char *dirs[MAX_DIRS];
static int nr_dirs;

static void __attribute__((noreturn, format(printf, 2, 3)))
fail(const struct line *line, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "nvidia_client: %s:%d: ", script, line ? line->number : 0);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void put32(void *at, unsigned int offset, uint32_t value)
{
	memcpy((char *)at + offset, &value, sizeof(value));
}

static void put64(void *at, unsigned int offset, uint64_t value)
{
	memcpy((char *)at + offset, &value, sizeof(value));
}

static uint32_t get32(const void *at, unsigned int offset)
{
	uint32_t value;

	memcpy(&value, (const char *)at + offset, sizeof(value));
	return value;
}

static uint64_t get64(const void *at, unsigned int offset)
{
	uint64_t value;

	memcpy(&value, (const char *)at + offset, sizeof(value));
	return value;
}

/* Words of a line. */

static struct name *find_name(const char *word)
{
	for (int i = 0; i < MAX_NAMES; i++)
		if (names[i].name[0] && !strcmp(names[i].name, word))
			return &names[i];
	return NULL;
}

static struct name *set_name(const struct line *line, const char *word)
{
	struct name *name = find_name(word);

	for (int i = 0; !name && i < MAX_NAMES; i++)
		if (!names[i].name[0])
			name = &names[i];
	if (!name || strlen(word) >= sizeof(name->name))
		fail(line, "no room for the name '%s'", word);
	*name = (struct name){.fd = -1, .file = -1};
	memcpy(name->name, word, strlen(word));
	return name;
}

/* What a client's name stands for; of one that another process made, too. */
static bool find_handle(const char *word, uint64_t *handle)
{
	const struct name *name = find_name(word);

	if (name)
		*handle = name->value;
	for (int i = truth->nr_clients - 1; !name && i >= 0; i--) {
		if (!strcmp(truth->clients[i].name, word)) {
			*handle = truth->clients[i].handle;
			return true;
		}
	}
	return name;
}

/* A number, with K, M or G, or the name of a client. */
static uint64_t number(const struct line *line, const char *word)
{
	uint64_t value;
	char *end;

	if (word[0] == '$' && find_handle(word, &value))
		return value;
	value = strtoull(word, &end, 0);
	if (end != word && *end && !end[1]) {
		const char *units = "KMG";
		const char *unit = strchr(units, *end);

		if (unit)
			return value << 10 * (unit - units + 1);
	}
	if (end == word || *end)
		fail(line, "'%s' is no number and no name", word);
	return value;
}

static const char *word(const struct line *line, int i)
{
	if (i >= line->words)
		fail(line, "%s: too few words", line->word[0]);
	return line->word[i];
}

static uint64_t arg(const struct line *line, int i)
{
	return number(line, word(line, i));
}

/* The word after that one, or NULL. */
static const char *after(const struct line *line, const char *key)
{
	for (int i = 1; i + 1 < line->words; i++)
		if (!strcmp(line->word[i], key))
			return line->word[i + 1];
	return NULL;
}

static uint64_t option(const struct line *line, const char *key, uint64_t otherwise)
{
	const char *value = after(line, key);

	return value ? number(line, value) : otherwise;
}

static bool flag(const struct line *line, const char *key)
{
	for (int i = 1; i < line->words; i++)
		if (!strcmp(line->word[i], key))
			return true;
	return false;
}

static int fd_of(const struct line *line, const char *name)
{
	const struct name *found = find_name(name);

	if (!found || found->fd < 0)
		fail(line, "no open file '%s'", name);
	return found->fd;
}

/* The truth: what is there, by client. All under its lock. */

static int client_of(uint32_t handle)
{
	for (int i = truth->nr_clients - 1; i >= 0; i--)
		if (truth->clients[i].handle == handle && truth->clients[i].alive)
			return i;
	return -1;
}

static struct object *find_object(int client, uint32_t handle)
{
	for (int i = 0; i < MAX_OBJECTS; i++)
		if (truth->objects[i].used && truth->objects[i].client == client &&
		    truth->objects[i].handle == handle)
			return &truth->objects[i];
	return NULL;
}

static bool is_compute(uint32_t class)
{
	return (class & 0xff) == 0xc0 && class > 0xff;
}

static bool is_context(uint32_t class)
{
	return is_compute(class) || class == 0xa06c;
}

static void count_context(struct client *client, int by, int64_t begin, int64_t end)
{
	if (by > 0 && client->contexts++ == 0) {
		client->min_since = end;
		client->max_since = begin;
	}
	if (by < 0 && --client->contexts == 0) {
		client->held_min += begin - client->min_since;
		client->held_max += end - client->max_since;
	}
}

static void add_object(const struct call *call, const struct object *new)
{
	struct client *client = &truth->clients[new->client];
	const struct object *parent = find_object(new->client, new->parent);
	struct object *slot = truth->objects;

	while (slot < truth->objects + MAX_OBJECTS && slot->used)
		slot++;
	if (slot == truth->objects + MAX_OBJECTS)
		fail(call->line, "more than %d objects", MAX_OBJECTS);
	*slot = *new;
	slot->used = true;
	if (parent && new->class != 0x80)
		slot->gpu = parent->gpu;
	if (is_context(new->class))
		count_context(client, 1, call->begin, call->end);
	if (new->kind == DEVICE_MEMORY)
		client->device += new->bytes;
	if (client->device > client->peak)
		client->peak = client->device;
}

static void drop(struct object *object, int64_t begin, int64_t end)
{
	struct client *client = &truth->clients[object->client];

	if (is_context(object->class))
		count_context(client, -1, begin, end);
	if (object->kind == DEVICE_MEMORY)
		client->device -= object->bytes;
	if (object->handle == client->handle)
		client->alive = false;
	*object = (struct object){0};
}

static bool goes_too(const struct object *object)
{
	const uint32_t with[] = {object->parent, object->needs[0], object->needs[1]};

	for (int i = 0; i < 3; i++) {
		const struct object *other = with[i] ? find_object(object->client, with[i]) : NULL;

		if (other && other->doomed)
			return true;
	}
	return false;
}

/* What freeing an object takes with it: its subtree, and what was made with any of that. */
static void drop_tree(struct object *root, int64_t begin, int64_t end)
{
	const struct object *last = truth->objects + MAX_OBJECTS;
	int client = root->client;
	bool more = true;

	root->doomed = true;
	while (more) {
		more = false;
		for (struct object *o = truth->objects; o < last; o++)
			if (o->used && !o->doomed && o->client == client && goes_too(o))
				o->doomed = more = true;
	}
	for (struct object *o = truth->objects; o < last; o++)
		if (o->used && o->doomed)
			drop(o, begin, end);
}

/* A process lets go of a file; the last one takes the clients made through it along. */
static void release(struct process *proc, int file, int64_t begin, int64_t end)
{
	proc->holds[file] = false;
	for (int i = 0; i < truth->nr_procs; i++)
		if (truth->procs[i].holds[file])
			return;
	for (int i = 0; i < truth->nr_clients; i++)
		if (truth->clients[i].alive && truth->clients[i].file == file)
			drop_tree(find_object(i, truth->clients[i].handle), begin, end);
}

static void print_client(int nr, int64_t at)
{
	const struct client *client = &truth->clients[nr];
	uint64_t bytes[4] = {0}, gpu[2] = {0};
	int objects = 0, compute = 0, groups = 0, contexts[2] = {0};
	long long min = client->held_min, max = client->held_max;

	if (client->contexts) {
		min += at - client->min_since;
		max += at - client->max_since;
	}
	for (const struct object *o = truth->objects; o < truth->objects + MAX_OBJECTS; o++) {
		if (!o->used || o->client != nr)
			continue;
		objects++;
		compute += is_compute(o->class);
		groups += o->class == 0xa06c;
		contexts[o->gpu & 1] += is_context(o->class);
		bytes[o->kind] += o->bytes;
		if (o->kind == DEVICE_MEMORY)
			gpu[o->gpu & 1] += o->bytes;
	}
	printf("truth client=%s handle=%#x pid=%d alive=%d objects=%d device_bytes=%llu "
	       "pinned_bytes=%llu shared_bytes=%llu compute=%d groups=%d contexts=%d "
	       "gpu0_bytes=%llu gpu1_bytes=%llu gpu0_contexts=%d gpu1_contexts=%d "
	       "held_min_ns=%lld held_max_ns=%lld peak_device_bytes=%llu\n",
	       client->name, client->handle, client->pid, client->alive, objects,
	       (unsigned long long)bytes[DEVICE_MEMORY], (unsigned long long)bytes[PINNED_MEMORY],
	       (unsigned long long)bytes[SHARED_MEMORY], compute, groups, compute + groups,
	       (unsigned long long)gpu[0], (unsigned long long)gpu[1], contexts[0], contexts[1],
	       min, max, (unsigned long long)client->peak);
}

/* Calls. */

static void print_call(const struct call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void print_call(const struct call *call, const char *format, ...)
{
	va_list args;

	printf("call line=%d op=%s ret=%d errno=%d ns=%lld", call->line->number,
	       call->line->word[0], call->ret, call->error, (long long)(call->end - call->begin));
	if (call->status)
		printf(" status=%#x", *call->status);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static const struct {
	const char *name;
	int value;
} errors[] = {
	{"EINVAL", EINVAL},
	{"EFAULT", EFAULT},
	{"EBADF", EBADF},
	{"EIO", EIO},
	{"ECONNABORTED", ECONNABORTED},
	{"ENODEV", ENODEV},
	{"ENOTTY", ENOTTY},
};

static int wanted_error(const struct line *line)
{
	const char *want = after(line, "errno");

	for (size_t i = 0; want && i < sizeof(errors) / sizeof(errors[0]); i++)
		if (!strcmp(want, errors[i].name))
			return errors[i].value;
	return want ? (int)number(line, want) : 0;
}

/* Whether it did what it was made for; a call that went otherwise than the line says is the end. */
static bool judge(const struct call *call)
{
	uint32_t status = call->status && !call->ret ? *call->status : 0;
	uint32_t want = option(call->line, "want", 0);
	int error = wanted_error(call->line);

	if (flag(call->line, "any"))
		return !call->ret && !status;
	if (call->error != error)
		fail(call->line, "%s: %s, wanted %s", call->line->word[0], strerror(call->error),
		     strerror(error));
	if (status != want)
		fail(call->line, "%s: status %#x, wanted %#x", call->line->word[0], status, want);
	return !error && !want;
}

/*
 * Makes the call, wrapped if the line says so, and through nowhere if it says that. The wrapper is
 * what the kernel's side of a call cannot tell from others by its number.
 */
static void make(struct call *call)
{
	char wrapper[16];
	unsigned long cmd = call->cmd;
	void *to = flag(call->line, "nowhere") ? (void *)NOWHERE : call->arg;

	if (flag(call->line, "xfer")) {
		put32(wrapper, 0, _IOC_NR(cmd));
		put32(wrapper, 4, _IOC_SIZE(cmd));
		put64(wrapper, 8, (uintptr_t)to);
		cmd = NV(211, 16);
		to = wrapper;
	}
	call->begin = now();
	call->ret = ioctl(call->fd, cmd, to);
	call->error = call->ret < 0 ? errno : 0;
	call->end = now();
}

static struct call new_call(const struct line *line, unsigned long cmd, void *to, int status_at)
{
	return (struct call){.line = line,
			     .fd = fd_of(line, word(line, 1)),
			     .cmd = cmd,
			     .arg = to,
			     .status = status_at < 0 ? NULL : (void *)((char *)to + status_at)};
}

/* A call that changes nothing of what is counted. */
static void simple(const struct line *line, unsigned long cmd, void *to, int status_at)
{
	struct call call = new_call(line, cmd, to, status_at);

	make(&call);
	print_call(&call, "%s", "");
	judge(&call);
}

static enum kind kind_of(uint32_t class, uint32_t attr, uint32_t flags)
{
	switch (class) {
	case 0x3e:
	case 0x42:
	case 0x71:
		return flags & 0x80000 ? NOTHING : PINNED_MEMORY;
	case 0x3f:
	case 0x40:
		if (flags & 0x80000)
			return NOTHING;
		return (attr >> 25 & 3) == 1 ? PINNED_MEMORY : DEVICE_MEMORY;
	default:
		return NOTHING;
	}
}

static void add_locked(const struct call *call, uint32_t client, struct object *new)
{
	pthread_mutex_lock(&truth->lock);
	new->client = client_of(client);
	if (new->client < 0)
		fail(call->line, "no client %#x was made here", client);
	add_object(call, new);
	pthread_mutex_unlock(&truth->lock);
}

/* Fills the parameters of a class in; answers how long they are. */
static uint32_t fill_params(const struct line *line, uint32_t class, char *params)
{
	uint32_t vaspace = option(line, "vaspace", 0);

	if (class == 0x3e || class == 0x3f || class == 0x40 || class == 0x42 || class == 0x50a0) {
		put32(params, 8, option(line, "flags", 0));
		put32(params, 24, option(line, "attr", class == 0x3e ? 1 << 25 : 0));
		put64(params, 64, option(line, "size", 0));
		return 128;
	}
	if ((class & 0xff) == 0x6f) {
		put32(params, 24, option(line, "share", 0));
		put32(params, 28, vaspace);
		put32(params, 128, 1);
		return 368;
	}
	switch (class) {
	case 0x80:
		put32(params, 0, option(line, "device", 0));
		return 56;
	case 0x2080:
		return 4;
	case 0x90f1:
		return 48;
	case 0x9067:
		put32(params, 0, vaspace);
		return 12;
	case 0xa06c:
		put32(params, 8, vaspace);
		put32(params, 12, 1);
		return 20;
	default:
		return (class & 0xff) == 0xc0 ? 16 : 0;
	}
}

static int fill_alloc(const struct line *line, char *top, char *params, int layout)
{
	uint32_t class = option(line, "class", 0), size;
	uintptr_t at = flag(line, "lost") ? NOWHERE : (uintptr_t)params;

	memset(params, 0, 512);
	size = fill_params(line, class, params);
	put32(top, 0, arg(line, 2));
	put32(top, 4, option(line, "under", 0));
	put32(top, 8, arg(line, 3));
	put32(top, 12, class);
	put64(top, 16, size ? at : 0);
	size = option(line, "params", size);
	if (layout == 48)
		put32(top, 32, size);
	if (layout == 32)
		put32(top, 24, size);
	return layout == 48 ? 40 : layout == 40 ? 36 : 28;
}

static void op_alloc(const struct line *line)
{
	static char params[65536]; /* room for a size that lies */
	char top[48] = {0};
	int layout = option(line, "layout", 48);
	int status_at = fill_alloc(line, top, params, layout);
	struct call call = new_call(line, NV(0x2b, layout), top, status_at);
	struct object new = {.parent = option(line, "under", 0),
			     .class = option(line, "class", 0),
			     .gpu = option(line, "device", 0),
			     .needs = {option(line, "vaspace", 0), option(line, "share", 0)}};

	make(&call);
	new.handle = get32(top, 8);
	new.kind = kind_of(new.class, get32(params, 24), get32(params, 8));
	new.bytes = new.kind == NOTHING ? 0 : get64(params, 64);
	print_call(&call, " handle=%#x asked=%llu size=%llu", new.handle,
		   (unsigned long long)option(line, "size", 0), (unsigned long long)new.bytes);
	if (judge(&call))
		add_locked(&call, arg(line, 2), &new);
}

/* A root. Its name is known to all processes of the script. */
static void op_client(const struct line *line)
{
	char top[48] = {0};
	int layout = option(line, "layout", 48);
	struct call call = new_call(line, NV(0x2b, layout), top,
				    layout == 48   ? 40
				    : layout == 40 ? 36
						   : 28);
	const char *name = word(line, 2);
	struct client *client;
	struct object root = {.class = option(line, "class", 0x41)};

	put32(top, 12, root.class);
	make(&call);
	root.handle = get32(top, 8);
	print_call(&call, " handle=%#x", root.handle);
	if (!judge(&call))
		return;
	set_name(line, name)->value = root.handle;
	pthread_mutex_lock(&truth->lock);
	if (truth->nr_clients == MAX_CLIENTS)
		fail(line, "more than %d clients", MAX_CLIENTS);
	client = &truth->clients[truth->nr_clients++];
	*client = (struct client){.handle = root.handle,
				  .pid = getpid(),
				  .file = find_name(word(line, 1))->file,
				  .alive = true};
	snprintf(client->name, sizeof(client->name), "%s", name);
	root.client = truth->nr_clients - 1;
	add_object(&call, &root);
	pthread_mutex_unlock(&truth->lock);
}

static void op_memory(const struct line *line)
{
	char top[56] = {0};
	struct call call = new_call(line, NV(0x27, 56), top, 40);
	struct object new = {.parent = option(line, "under", 0),
			     .class = option(line, "class", 0x71),
			     .bytes = option(line, "size", 0)};

	put32(top, 0, arg(line, 2));
	put32(top, 4, new.parent);
	put32(top, 8, arg(line, 3));
	put32(top, 12, new.class);
	put64(top, 24, 0x7f0000000000);
	put64(top, 32, new.bytes - 1);
	put32(top, 48, (uint32_t)-1);
	make(&call);
	new.handle = get32(top, 8);
	new.kind = kind_of(new.class, 0, 0);
	print_call(&call, " handle=%#x size=%llu", new.handle, (unsigned long long)new.bytes);
	if (judge(&call))
		add_locked(&call, arg(line, 2), &new);
}

static void op_heap(const struct line *line)
{
	char top[184] = {0};
	struct call call = new_call(line, NV(0x4a, 184), top, 20);
	uint32_t attr = option(line, "attr", 0);
	struct object new = {.parent = option(line, "under", 0),
			     .class = (attr >> 25 & 3) == 1 ? 0x3e : 0x40};

	put32(top, 0, arg(line, 2));
	put32(top, 4, new.parent);
	put32(top, 8, 2);
	put32(top, 44, arg(line, 3));
	put32(top, 52, option(line, "flags", 0));
	put32(top, 56, attr);
	put64(top, 88, option(line, "size", 0));
	make(&call);
	new.handle = get32(top, 44);
	new.kind = kind_of(new.class, attr, option(line, "flags", 0));
	new.bytes = new.kind == NOTHING ? 0 : get64(top, 88);
	print_call(&call, " handle=%#x asked=%llu size=%llu", new.handle,
		   (unsigned long long)option(line, "size", 0), (unsigned long long)new.bytes);
	if (judge(&call))
		add_locked(&call, arg(line, 2), &new);
}

static void drop_locked(const struct call *call, uint32_t client, uint32_t handle)
{
	struct object *object;

	pthread_mutex_lock(&truth->lock);
	object = find_object(client_of(client), handle);
	if (!object)
		fail(call->line, "the driver freed %#x, which is not there", handle);
	drop_tree(object, call->begin, call->end);
	pthread_mutex_unlock(&truth->lock);
}

/* With the client's own handle, the client. */
static void op_free(const struct line *line)
{
	char top[16] = {0};
	struct call call = new_call(line, NV(0x29, 16), top, 12);
	uint32_t client = arg(line, 2);

	put32(top, 0, client);
	put32(top, 4, option(line, "under", 0));
	put32(top, 8, arg(line, 3));
	make(&call);
	print_call(&call, "%s", "");
	if (judge(&call))
		drop_locked(&call, client, arg(line, 3));
}

static void op_heap_free(const struct line *line)
{
	char top[184] = {0};
	struct call call = new_call(line, NV(0x4a, 184), top, 20);

	put32(top, 0, arg(line, 2));
	put32(top, 4, option(line, "under", 0));
	put32(top, 8, 3);
	put32(top, 44, arg(line, 3));
	make(&call);
	print_call(&call, "%s", "");
	if (judge(&call))
		drop_locked(&call, arg(line, 2), arg(line, 3));
}

static void op_dup(const struct line *line)
{
	char top[28] = {0};
	struct call call = new_call(line, NV(0x34, 28), top, 24);
	uint32_t from = option(line, "from", 0), handle = option(line, "object", 0);
	struct object new = {.parent = option(line, "under", 0)};
	const struct object *source;

	put32(top, 0, arg(line, 2));
	put32(top, 4, new.parent);
	put32(top, 8, arg(line, 3));
	put32(top, 12, from);
	put32(top, 16, handle);
	make(&call);
	print_call(&call, " handle=%#x", get32(top, 8));
	if (!judge(&call))
		return;
	new.handle = get32(top, 8);
	pthread_mutex_lock(&truth->lock);
	source = find_object(client_of(from), handle);
	if (source) {
		new.class = source->class;
		new.bytes = source->bytes;
		new.kind = source->kind == NOTHING ? NOTHING : SHARED_MEMORY;
	}
	pthread_mutex_unlock(&truth->lock);
	add_locked(&call, arg(line, 2), &new);
}

static void fill_control(const struct line *line, char *top, uint32_t cmd, void *params,
			 uint32_t size)
{
	put32(top, 0, arg(line, 2));
	put32(top, 4, arg(line, 3));
	put32(top, 8, cmd);
	put64(top, 16, flag(line, "lost") ? NOWHERE : (uintptr_t)params);
	put32(top, 24, size);
}

static void op_control(const struct line *line)
{
	static char params[65536];
	char top[32] = {0};

	fill_control(line, top, arg(line, 4), params, option(line, "bytes", 0));
	simple(line, NV(0x2a, 32), top, 28);
}

static void op_check(const struct line *line)
{
	char top[32] = {0}, count[24] = {0};
	struct call call = new_call(line, NV(0x2a, 32), top, 28);
	uint32_t objects = 0, contexts = 0;
	uint64_t bytes[4] = {0};
	int client;

	put32(top, 0, arg(line, 2));
	put32(top, 8, MAGIC_COUNT);
	put64(top, 16, (uintptr_t)count);
	put32(top, 24, sizeof(count));
	make(&call);
	judge(&call);
	pthread_mutex_lock(&truth->lock);
	client = client_of(arg(line, 2));
	for (const struct object *o = truth->objects; o < truth->objects + MAX_OBJECTS; o++) {
		if (!o->used || o->client != client)
			continue;
		objects++;
		contexts += is_context(o->class);
		bytes[o->kind] += o->bytes;
	}
	pthread_mutex_unlock(&truth->lock);
	if (get32(count, 0) != objects || get32(count, 4) != contexts ||
	    get64(count, 8) != bytes[DEVICE_MEMORY] || get64(count, 16) != bytes[PINNED_MEMORY])
		fail(line,
		     "the driver has %u objects, %u contexts, %llu and %llu bytes, not %u, "
		     "%u, %llu, %llu",
		     get32(count, 0), get32(count, 4), (unsigned long long)get64(count, 8),
		     (unsigned long long)get64(count, 16), objects, contexts,
		     (unsigned long long)bytes[DEVICE_MEMORY],
		     (unsigned long long)bytes[PINNED_MEMORY]);
}

static void op_fault(const struct line *line)
{
	char top[32] = {0}, fault[20] = {0};
	const char *file = word(line, 1);
	bool uvm = flag(line, "uvm");

	put32(fault, 0, option(line, "nr", 0));
	put32(fault, 4, option(line, "count", 1));
	put32(fault, 8, option(line, "delay", 0));
	put32(fault, 12, option(line, "status", 0));
	put32(fault, 16, option(line, "error", 0));
	put32(top, 8, MAGIC_FAULT);
	put64(top, 16, (uintptr_t)fault);
	put32(top, 24, sizeof(fault));
	if (ioctl(fd_of(line, file), uvm ? MAGIC_FAULT : NV(0x2a, 32), uvm ? fault : top))
		fail(line, "fault: %s", strerror(errno));
}

static void op_register(const struct line *line)
{
	int fd = fd_of(line, word(line, 2));

	simple(line, NV(201, 4), &fd, -1);
}

static void op_version(const struct line *line)
{
	char top[72] = {0};
	struct call call = new_call(line, NV(210, 72), top, -1);

	make(&call);
	print_call(&call, " version=%.64s", top + 8);
	judge(&call);
}

static void op_cards(const struct line *line)
{
	char top[72 * 32] = {0};
	struct call call = new_call(line, NV(200, sizeof(top)), top, -1);
	int valid = 0;

	make(&call);
	for (int i = 0; i < 32; i++)
		valid += top[(ptrdiff_t)i * 72] != 0;
	print_call(&call, " valid=%d minor=%u", valid, get32(top, 72 + 56));
	judge(&call);
}

static void op_map(const struct line *line)
{
	char top[56] = {0};

	put32(top, 0, arg(line, 2));
	put32(top, 4, arg(line, 3));
	put32(top, 8, arg(line, 4));
	put64(top, 24, option(line, "size", 4096));
	simple(line, NV(0x4e, 56), top, 40);
}

static void op_unmap(const struct line *line)
{
	char top[32] = {0};

	put32(top, 0, arg(line, 2));
	put32(top, 4, arg(line, 3));
	put32(top, 8, arg(line, 4));
	simple(line, NV(0x4f, 32), top, 24);
}

static void op_raw(const struct line *line)
{
	static char buffer[65536];

	simple(line, arg(line, 2), buffer, -1);
}

/* What UVM takes. Its GPUs have the UUIDs of tests/fixtures/gpu/nvidia. */

static void put_uuid(char *at, uint64_t gpu)
{
	static const unsigned char uuids[3][16] = {
		{0x5a, 0x1e, 0x0d, 0x3c, 0x77, 0x21, 0x4b, 0x0e, 0x9c, 0x44, 0x10, 0x32, 0x54, 0x76,
		 0x98, 0xba},
		{0x8f, 0x02, 0xb6, 0x91, 0x13, 0xd8, 0x5e, 0x7a, 0xa1, 0x60, 0xef, 0xcd, 0xab, 0x89,
		 0x67, 0x45},
		{0xee}, /* of no GPU */
	};

	memcpy(at, uuids[gpu % 3], 16);
}

static void op_uvm_init(const struct line *line)
{
	char top[16] = {0};

	simple(line, 0x30000001, top, 8);
}

static void op_uvm_deinit(const struct line *line)
{
	simple(line, 0x30000002, NULL, -1);
}

static void op_uvm_gpu(const struct line *line)
{
	char top[40] = {0};

	put_uuid(top, arg(line, 2));
	put32(top, 24, fd_of(line, word(line, 3)));
	put32(top, 28, arg(line, 4));
	simple(line, 37, top, 36);
}

static void op_uvm_vaspace(const struct line *line)
{
	char top[32] = {0};

	put_uuid(top, arg(line, 2));
	put32(top, 16, fd_of(line, word(line, 3)));
	put32(top, 20, arg(line, 4));
	put32(top, 24, arg(line, 5));
	simple(line, 25, top, 28);
}

static void op_uvm_channel(const struct line *line)
{
	char top[56] = {0};

	put_uuid(top, arg(line, 2));
	put32(top, 16, fd_of(line, word(line, 3)));
	put32(top, 20, arg(line, 4));
	put32(top, 24, arg(line, 5));
	put64(top, 32, 0x7f2000000000);
	put64(top, 40, 0x200000);
	simple(line, 27, top, 48);
}

static void op_uvm_range(const struct line *line)
{
	char top[24] = {0};

	put64(top, 0, arg(line, 2));
	put64(top, 8, option(line, "size", 0));
	simple(line, 73, top, 16);
}

static void op_uvm_free(const struct line *line)
{
	char top[24] = {0};

	put64(top, 0, arg(line, 2));
	simple(line, 34, top, 16);
}

static void op_uvm_migrate(const struct line *line)
{
	char top[80] = {0};

	put64(top, 0, arg(line, 2));
	put64(top, 8, option(line, "size", 0));
	put_uuid(top + 16, option(line, "to", 0));
	simple(line, 51, top, 72);
}

/* Files and processes. */

static void op_open(const struct line *line)
{
	struct name *name = set_name(line, word(line, 1));

	name->fd = open(word(line, 2), O_RDWR | O_CLOEXEC);
	if (name->fd < 0)
		fail(line, "open %s: %s", line->word[2], strerror(errno));
	pthread_mutex_lock(&truth->lock);
	if (truth->nr_files == MAX_FILES)
		fail(line, "more than %d files", MAX_FILES);
	name->file = truth->nr_files++;
	me->holds[name->file] = true;
	pthread_mutex_unlock(&truth->lock);
}

static void close_name(struct name *name)
{
	int64_t begin = now();

	close(name->fd);
	pthread_mutex_lock(&truth->lock);
	release(me, name->file, begin, now());
	pthread_mutex_unlock(&truth->lock);
	*name = (struct name){.fd = -1};
}

static void op_close(const struct line *line)
{
	fd_of(line, word(line, 1));
	close_name(find_name(line->word[1]));
}

static void op_sleep(const struct line *line)
{
	usleep(arg(line, 1) * 1000);
}

static void op_say(const struct line *line)
{
	printf("%s\n", word(line, 1));
}

static void op_hold(const struct line *line)
{
	char text[16];

	(void)line;
	puts("holding");
	if (!fgets(text, sizeof(text), stdin))
		return;
}

static void op_kill(const struct line *line)
{
	(void)line;
	fflush(stdout);
	me->killed = now();
	raise(SIGKILL);
}

static void op_kill_children(const struct line *line)
{
	(void)line;
	for (int i = 0; i < truth->nr_procs; i++) {
		if (truth->procs[i].parent == getpid()) {
			truth->procs[i].killed = now();
			kill(truth->procs[i].pid, SIGKILL);
		}
	}
}

static void enter(const char *dir)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%d\n", getpid()) < 0)
		fail(NULL, "%s: %s", path, strerror(errno));
	close(fd);
}

static void op_enter(const struct line *line)
{
	uint64_t nr = arg(line, 1);

	if (nr < (uint64_t)nr_dirs)
		enter(dirs[nr]);
}

static void report(void)
{
	int64_t at = now();

	pthread_mutex_lock(&truth->lock);
	for (int i = 0; i < truth->nr_clients; i++)
		print_client(i, at);
	pthread_mutex_unlock(&truth->lock);
}

static void op_report(const struct line *line)
{
	(void)line;
	report();
}

static struct process *process_of(pid_t pid)
{
	struct process *proc = truth->procs;

	while (proc->pid != pid)
		proc++;
	return proc;
}

/* What a killed child had open is closed when it can be waited for. */
static void op_wait(const struct line *line)
{
	int status;
	pid_t pid;

	while ((pid = wait(&status)) > 0) {
		int64_t end = now();
		struct process *proc = process_of(pid);

		if (WIFEXITED(status) && WEXITSTATUS(status))
			fail(line, "a child failed");
		proc->parent = 0;
		pthread_mutex_lock(&truth->lock);
		for (int file = 0; file < MAX_FILES; file++)
			if (proc->holds[file])
				release(proc, file, proc->killed, end);
		pthread_mutex_unlock(&truth->lock);
	}
}

struct op {
	const char *name;
	void (*run)(const struct line *line);
	const char *help;
};

static const struct op ops[] = {
	{"alloc", op_alloc,
	 "FILE CLIENT HANDLE under PARENT class C [size N] [attr A] [flags F] [device N] "
	 "[vaspace H] [share H] [params BYTES] [layout 48|40|32]"},
	{"cards", op_cards, "FILE"},
	{"check", op_check, "FILE CLIENT: fails unless the driver counts the same"},
	{"client", op_client, "FILE $NAME [layout 48|40|32]: the driver chooses the handle"},
	{"close", op_close, "FILE"},
	{"control", op_control, "FILE CLIENT OBJECT CMD [bytes N]"},
	{"dup", op_dup, "FILE CLIENT HANDLE under PARENT from CLIENT object HANDLE"},
	{"enter", op_enter, "N: the cgroup of the N-th -e from here on, if there is one"},
	{"fault", op_fault,
	 "FILE nr N [count N] [delay US] [status S] [error E] [uvm]: of the calls to come"},
	{"free", op_free, "FILE CLIENT HANDLE [under PARENT]"},
	{"heap", op_heap, "FILE CLIENT HANDLE under PARENT size N [attr A] [flags F]"},
	{"heap-free", op_heap_free, "FILE CLIENT HANDLE under PARENT"},
	{"hold", op_hold, "until a line comes on standard input"},
	{"kill", op_kill, "this process, as the kernel kills"},
	{"kill-children", op_kill_children, "whatever they are doing"},
	{"map", op_map, "FILE CLIENT DEVICE HANDLE [size N]"},
	{"memory", op_memory, "FILE CLIENT HANDLE under PARENT class C size N"},
	{"open", op_open, "FILE PATH"},
	{"raw", op_raw, "FILE CMD: any number"},
	{"register", op_register, "FILE CTL"},
	{"report", op_report, "the truth, now"},
	{"say", op_say, "WORD: a mark in the output"},
	{"sleep", op_sleep, "MS"},
	{"unmap", op_unmap, "FILE CLIENT DEVICE HANDLE"},
	{"uvm-channel", op_uvm_channel, "FILE GPU CTL CLIENT CHANNEL"},
	{"uvm-deinit", op_uvm_deinit, "FILE"},
	{"uvm-free", op_uvm_free, "FILE BASE"},
	{"uvm-gpu", op_uvm_gpu, "FILE GPU CTL CLIENT; GPU 2 is none"},
	{"uvm-init", op_uvm_init, "FILE"},
	{"uvm-migrate", op_uvm_migrate, "FILE BASE size N to GPU"},
	{"uvm-range", op_uvm_range, "FILE BASE size N"},
	{"uvm-vaspace", op_uvm_vaspace, "FILE GPU CTL CLIENT VASPACE"},
	{"version", op_version, "FILE"},
	{"wait", op_wait, "for all children"},
};

static void run_line(const struct line *line)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (!strcmp(ops[i].name, line->word[0])) {
			ops[i].run(line);
			return;
		}
	}
	fail(line, "no such operation: '%s'", line->word[0]);
}

/* The line with the `end` of the block that begins there. */
static int end_of(int begin)
{
	int depth = 0;

	for (int i = begin; i < nr_lines; i++) {
		const char *word0 = lines[i].word[0];

		if (!strcmp(word0, "fork") || !strcmp(word0, "repeat"))
			depth++;
		if (!strcmp(word0, "end") && --depth == 0)
			return i;
	}
	fail(&lines[begin], "no end");
}

static void run(int from, int to);

/* A child has what its parent has open, and ends at its `end`. */
static void run_child(int begin, int end)
{
	struct process *child;
	pid_t pid;

	pthread_mutex_lock(&truth->lock);
	if (truth->nr_procs == MAX_PROCS)
		fail(&lines[begin], "more than %d processes", MAX_PROCS);
	child = &truth->procs[truth->nr_procs++];
	memcpy(child->holds, me->holds, sizeof(child->holds));
	pthread_mutex_unlock(&truth->lock);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		fail(&lines[begin], "fork: %s", strerror(errno));
	if (pid) {
		child->pid = pid;
		child->parent = getpid();
		return;
	}
	me = child;
	me->pid = getpid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run(begin + 1, end);
	for (int i = 0; i < MAX_NAMES; i++)
		if (names[i].name[0] && names[i].fd >= 0)
			close_name(&names[i]);
	fflush(stdout);
	_exit(0);
}

static void run(int from, int to)
{
	for (int i = from; i < to; i++) {
		const struct line *line = &lines[i];
		int end;

		if (!strcmp(line->word[0], "fork")) {
			end = end_of(i);
			run_child(i, end);
			i = end;
		} else if (!strcmp(line->word[0], "repeat")) {
			end = end_of(i);
			for (uint64_t n = arg(line, 1); n; n--)
				run(i + 1, end);
			i = end;
		} else {
			run_line(line);
		}
	}
}

/* Reads a script; a `#` begins a comment. */
static void read_script(FILE *file)
{
	char *text = NULL, *save;
	size_t size = 0;
	int nr = 0;

	while (getline(&text, &size, file) >= 0) {
		struct line *line = &lines[nr_lines];

		nr++;
		text[strcspn(text, "#\n")] = '\0';
		line->number = nr;
		line->words = 0;
		for (char *w = strtok_r(text, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
			if (line->words == MAX_WORDS)
				fail(line, "too many words");
			line->word[line->words++] = strdup(w);
		}
		if (line->words && ++nr_lines == MAX_LINES)
			fail(line, "more than %d lines", MAX_LINES - 1);
	}
	free(text);
}

static void prepare(void)
{
	pthread_mutexattr_t attr;

	truth = mmap(NULL, sizeof(*truth), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (truth == MAP_FAILED)
		fail(NULL, "mmap: %s", strerror(errno));
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST); /* a process may be killed */
	pthread_mutex_init(&truth->lock, &attr);
	truth->nr_procs = 1;
	me = truth->procs;
	me->pid = getpid();
}

static int usage(FILE *to, int status)
{
	fputs("usage: nvidia_client [-c CGROUP_DIR]... [-e CGROUP_DIR]... SCRIPT\n"
	      "  -c  enter it first\n"
	      "  -e  one for the script to enter\n"
	      "A script has one of these a line, up to a #:\n",
	      to);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		fprintf(to, "  %s %s\n", ops[i].name, ops[i].help);
	fputs("  fork ... end: a child does that, meanwhile\n"
	      "  repeat N ... end\n"
	      "Any call may say how it is made: `xfer`, wrapped; `nowhere`, with a pointer to\n"
	      "nothing; `lost`, with such a pointer inside. And what comes of it, if not success:\n"
	      "`want STATUS`, `errno NAME`, or `any`. 64K, 1M and 2G are numbers.\n",
	      to);
	return status;
}

int main(int argc, char **argv)
{
	FILE *file;
	int opt;

	while ((opt = getopt(argc, argv, "c:e:h")) != -1) {
		if (opt == 'h')
			return usage(stdout, 0);
		if (opt == 'c')
			enter(optarg);
		else if (opt == 'e' && nr_dirs < MAX_DIRS)
			dirs[nr_dirs++] = optarg;
		else
			optind = argc;
	}
	if (optind + 1 != argc)
		return usage(stderr, 2);
	script = argv[optind];
	setvbuf(stdout, NULL, _IOLBF, 0);
	file = fopen(script, "re");
	if (!file)
		fail(NULL, "%s", strerror(errno));
	prepare();
	read_script(file);
	fclose(file);
	run(0, nr_lines);
	report();
	return 0;
}
