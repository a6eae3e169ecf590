// SPDX-License-Identifier: Apache-2.0
/* The options of mlprof agent: their defaults, their reading and their help. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "cmd/agent.h"
#include "cmd/cmd.h"
#include "cmd/names_options.h"

#define SECOND 1000000000ull

enum option_id {
	OPT_FIRST = 256,
	OPT_LISTEN = OPT_FIRST,
	OPT_SOCKET,
	OPT_CGROUP_ROOT,
	OPT_INTERVAL,
	OPT_KEEP,
	OPT_RING_BYTES,
	OPT_SLOTS,
	OPT_MOST_OWNERS,
	OPT_MOST_PODS,
	OPT_GPU_IN_ORDER,
	OPT_GPU_ROOT,
	OPT_BPF_STATS,
	OPT_LOG_FORMAT,
	OPT_LOG_LEVEL,
};

static const struct option long_options[] = {
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"cgroup-root", required_argument, NULL, OPT_CGROUP_ROOT},
	{"interval", required_argument, NULL, OPT_INTERVAL},
	{"keep", required_argument, NULL, OPT_KEEP},
	{"ring-bytes", required_argument, NULL, OPT_RING_BYTES},
	{"slots", required_argument, NULL, OPT_SLOTS},
	{"max-owners", required_argument, NULL, OPT_MOST_OWNERS},
	{"max-pods", required_argument, NULL, OPT_MOST_PODS},
	NAMES_LONG_OPTIONS,
	{"gpu-in-order", required_argument, NULL, OPT_GPU_IN_ORDER},
	{"gpu-root", required_argument, NULL, OPT_GPU_ROOT},
	{"bpf-stats", required_argument, NULL, OPT_BPF_STATS},
	{"log-format", required_argument, NULL, OPT_LOG_FORMAT},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static const char help[] =
	"usage: mlprof agent [OPTION...]\n"
	"\n"
	"Attaches to the kernel, adds up who uses and who waits for the CPU, and serves it.\n"
	"\n"
	"  --listen HOST:PORT   where /metrics is served (127.0.0.1:9477); '' for nowhere\n"
	"  --socket PATH        Unix socket for mlprof top (/run/mlprof/agent.sock); '' for none\n"
	"  --interval SECONDS   between two drains, 0.05 to 60 (1)\n"
	"  --keep SECONDS       how long pods and units that are gone are shown (600)\n"
	"  --cgroup-root PATH   mount point of the cgroup hierarchy (found in /proc/self/mounts)\n"
	"  --ring-bytes BYTES   kernel buffers of all CPUs together, a page each at least (16M)\n"
	"  --slots N            open accounts per CPU, a power of two from 64 to 4096 (by CPUs)\n"
	"  --max-owners N       pods' containers and units told apart; the rest are 'other' (16384)\n"
	"  --max-pods N         pods told apart; the rest are 'other' (2000)\n"
	"  --gpu-in-order LIST  drivers of GPUs whose rings run one job after the other, besides those\n"
	"                       known to, with commas between them: only then is busy time known\n"
	"  --gpu-root DIR       has the proc and sys that tell of GPUs (/)\n"
	"  --bpf-stats WHEN     measure the programs: never, sampled (1 drain in 60) or always\n"
	"  --log-format FORMAT  plain or json\n"
	"  --log-level LEVEL    error, warn, info or debug\n"
	"  -h, --help           this text\n"
	"\n" NAMES_HELP;

/* What each option takes, as the error for anything else says it. */
#define TAKES(id) [(id)-OPT_FIRST]
static const char *const takes[] = {
	TAKES(OPT_LISTEN) = "HOST:PORT",
	TAKES(OPT_SOCKET) = "a path",
	TAKES(OPT_CGROUP_ROOT) = "a path",
	TAKES(OPT_INTERVAL) = "seconds from 0.05 to 60",
	TAKES(OPT_KEEP) = "seconds from 0 to 86400",
	TAKES(OPT_RING_BYTES) = "bytes from 4K to 1024G",
	TAKES(OPT_SLOTS) = "a power of two from 64 to 4096",
	TAKES(OPT_MOST_OWNERS) = "a number from 1 to 1048576",
	TAKES(OPT_MOST_PODS) = "a number from 1 to 100000",
	TAKES(OPT_GPU_IN_ORDER) = "names of drivers",
	TAKES(OPT_GPU_ROOT) = "a directory",
	TAKES(OPT_BPF_STATS) = "never, sampled or always",
	TAKES(OPT_LOG_FORMAT) = "plain or json",
	TAKES(OPT_LOG_LEVEL) = "error, warn, info or debug",
};

static bool read_word(const char *text, const char *const *words, unsigned int *ret)
{
	for (unsigned int i = 0; words[i]; i++) {
		if (strcmp(text, words[i]))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

static bool read_slots(const char *text, uint64_t *slots)
{
	return read_unsigned(text, 64, 4096, slots) && !(*slots & (*slots - 1));
}

static bool read_option(struct agent_options *o, int id, const char *text)
{
	static const char *const stats[] = {"never", "sampled", "always", NULL};
	static const char *const formats[] = {"plain", "json", NULL};
	static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

	switch (id) {
	case OPT_LISTEN:
		o->listen = text;
		return true;
	case OPT_SOCKET:
		o->socket = text;
		return true;
	case OPT_CGROUP_ROOT:
		o->cgroup_root = text;
		return true;
	case OPT_INTERVAL:
		return read_seconds(text, SECOND / 20, 60 * SECOND, &o->interval_ns);
	case OPT_KEEP:
		return read_seconds(text, 0, 86400 * SECOND, &o->keep_ns);
	case OPT_RING_BYTES:
		return read_bytes(text, 4096, 1ull << 40, &o->ring_bytes);
	case OPT_SLOTS:
		return read_slots(text, &o->slots);
	case OPT_MOST_OWNERS:
		return read_unsigned(text, 1, 1u << 20, &o->most_owners);
	case OPT_MOST_PODS:
		return read_unsigned(text, 1, 100000, &o->most_pods);
	case OPT_GPU_IN_ORDER:
		o->gpu_in_order = text;
		return true;
	case OPT_GPU_ROOT:
		o->gpu_root = text;
		return true;
	case OPT_BPF_STATS:
		return read_word(text, stats, &o->stats);
	case OPT_LOG_FORMAT:
		return read_word(text, formats, &o->log_format);
	case OPT_LOG_LEVEL:
		return read_word(text, levels, &o->log_level);
	default:
		return names_option_read(&o->names, id, text);
	}
}

static int usage_error(void)
{
	return CMD_USAGE + 1;
}

int agent_options_read(struct agent_options *o, int argc, char **argv)
{
	int id, index = 0;

	*o = (struct agent_options){
		.listen = "127.0.0.1:9477",
		.socket = "/run/mlprof/agent.sock",
		.interval_ns = SECOND,
		.keep_ns = 600 * SECOND,
		.most_owners = 16384,
		.most_pods = 2000,
		.gpu_in_order = "",
		.gpu_root = "/",
		.names = NAMES_DEFAULTS,
		.stats = STATS_SAMPLED,
		.log_level = LOG_LEVEL_INFO,
	};
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":h", long_options, &index)) != -1) {
		if (id == 'h') {
			fputs(help, stdout);
			return CMD_OK + 1;
		}
		if (id == ':' || id == '?') {
			log_error("%s '%s'; see mlprof agent --help",
				  id == ':' ? "no value for" : "unknown option", argv[optind - 1]);
			return usage_error();
		}
		if (!read_option(o, id, optarg)) {
			log_error("bad value '%s' for --%s, which takes %s", optarg,
				  long_options[index].name,
				  id < NAMES_OPT_FIRST ? takes[id - OPT_FIRST]
						       : names_option_takes(id));
			return usage_error();
		}
	}
	names_options_complete(&o->names);
	if (!o->listen[0] && !o->socket[0]) {
		log_error("nobody could ask this agent: give --listen or --socket a value");
		return usage_error();
	}
	if (optind < argc) {
		log_error("unexpected argument '%s'; see mlprof agent --help", argv[optind]);
		return usage_error();
	}
	return 0;
}
