// SPDX-License-Identifier: Apache-2.0
/* What NVIDIA's driver writes below /proc/driver: keys and values, lists of names and numbers. */
#include <string.h>

#include "gpu/nvidia_proc.h"

/* Linux has 20 bits for a minor and 12 for a major. */
#define MINOR_MAX 0xfffff
#define MAJOR_MAX 0xfff

static bool read_small(struct span span, uint64_t most, uint32_t *number)
{
	uint64_t value;

	if (!span_number(span, &value) || value > most)
		return false;
	*number = (uint32_t)value;
	return true;
}

/* "GPU-5a4c1d2e-...". Until a GPU is used for the first time the driver writes question marks. */
static bool is_uuid(const char *text)
{
	static const char form[] = "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(text) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'x' ? !strchr("0123456789abcdefABCDEF", text[i])
				   : form[i] != text[i])
			return false;
	return true;
}

void nvidia_read_information(struct span text, struct nvidia_information *information)
{
	struct span key, value;

	memset(information, 0, sizeof(*information));
	while (span_line(&text, ':', &key, &value)) {
		if (span_is(key, "Model"))
			span_copy(value, information->model, sizeof(information->model));
		else if (span_is(key, "GPU UUID"))
			span_copy(value, information->uuid, sizeof(information->uuid));
		else if (span_is(key, "Bus Location"))
			pci_read(value, information->pci);
		else if (span_is(key, "Device Minor"))
			information->has_minor = read_small(value, 247, &information->minor);
	}
	if (!is_uuid(information->uuid))
		information->uuid[0] = '\0';
}

/* Numbers and dots, at least one of each: what stands around it differs between drivers. */
static bool is_version(struct span word)
{
	bool dot = false;

	if (word.at[0] < '0' || word.at[0] > '9')
		return false;
	for (size_t i = 0; i < word.bytes; i++) {
		if (word.at[i] == '.')
			dot = true;
		else if (word.at[i] < '0' || word.at[i] > '9')
			return false;
	}
	return dot;
}

bool nvidia_read_version(struct span text, char *version, size_t size)
{
	struct span key, value, word;

	*version = '\0';
	while (span_line(&text, ':', &key, &value)) {
		if (!span_is(key, "NVRM version"))
			continue;
		while (span_word(&value, &word))
			if (is_version(word))
				return span_copy(word, version, size);
	}
	return false;
}

bool nvidia_read_capability(struct span text, uint32_t *minor)
{
	struct span key, value;

	while (span_line(&text, ':', &key, &value))
		if (span_is(key, "DeviceFileMinor"))
			return read_small(value, MINOR_MAX, minor);
	return false;
}

bool nvidia_find_minor(struct span text, const char *name, uint32_t *minor)
{
	struct span key, value;

	while (span_line(&text, ' ', &key, &value))
		if (span_is(key, name))
			return read_small(value, MINOR_MAX, minor);
	return false;
}

bool devices_find_major(struct span text, const char *name, uint32_t *major)
{
	struct span key, value;
	bool character = false;

	while (span_line(&text, ' ', &key, &value)) {
		if (span_is(value, "devices:"))
			character = span_is(key, "Character");
		else if (character && span_is(value, name))
			return read_small(key, MAJOR_MAX, major);
	}
	return false;
}
