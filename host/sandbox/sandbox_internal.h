// SPDX-License-Identifier: MIT
// Private to host/sandbox: its two parts. Files first, since the filter allows neither Landlock nor prctl.
#ifndef HOST_SANDBOX_INTERNAL_H
#define HOST_SANDBOX_INTERNAL_H

#include "host/sandbox.h"

// -ENOSYS: this kernel has no Landlock.
int sandbox_limit_files(const struct sandbox_config *config, struct error *err);
// files: also the system calls of SANDBOX_SERVE; write: opening files to write to them.
int sandbox_limit_calls(bool files, bool write, struct error *err);

#endif
