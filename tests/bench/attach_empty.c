// SPDX-License-Identifier: Apache-2.0
/* Attaches the programs of a BPF object until it is ended. usage: attach_empty OBJECT */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct bpf_object *object = argc == 2 ? bpf_object__open_file(argv[1], NULL) : NULL;
	struct bpf_program *program;

	if (!object || bpf_object__load(object)) {
		fprintf(stderr, "attach_empty: cannot load: %s\n", strerror(errno));
		return 1;
	}
	bpf_object__for_each_program(program, object)
	{
		if (!bpf_program__attach(program)) {
			fprintf(stderr, "attach_empty: cannot attach: %s\n", strerror(errno));
			return 1;
		}
	}
	pause();
	return 0;
}
