// ABI 1 in numbers: a struct, or a status, that changes here breaks every program that was compiled with it.
// (Names of functions: cpp/abi/digitvae-1.symbols.)
#include <digitvae/digitvae.h>

#include <cstddef>

static_assert(DVAE_ABI_VERSION == 1);

static_assert(DVAE_OK == 0 && DVAE_INVALID_ARGUMENT == 1 && DVAE_IO_ERROR == 2 && DVAE_MODEL_ERROR == 3);
static_assert(DVAE_RUNTIME_ERROR == 4 && DVAE_OUT_OF_MEMORY == 5 && DVAE_CANCELLED == 6 && DVAE_INTERNAL_ERROR == 7);
static_assert(DVAE_LERP == 0 && DVAE_SLERP == 1);
static_assert(sizeof(dvae_status) == 4);

#if INTPTR_MAX == INT64_MAX
// No padding anywhere: what is added later must change the size.
static_assert(sizeof(dvae_open_options) == 16);
static_assert(offsetof(dvae_open_options, ort_library) == 8);

static_assert(sizeof(dvae_sample_options) == 64);  // 56 in its first version
static_assert(offsetof(dvae_sample_options, seed) == 8);
static_assert(offsetof(dvae_sample_options, first) == 16);
static_assert(offsetof(dvae_sample_options, prior) == 24);
static_assert(offsetof(dvae_sample_options, digit) == 32);
static_assert(offsetof(dvae_sample_options, threads) == 36);
static_assert(offsetof(dvae_sample_options, progress) == 40);
static_assert(offsetof(dvae_sample_options, progress_context) == 48);
static_assert(offsetof(dvae_sample_options, truncation) == 56);
static_assert(offsetof(dvae_sample_options, reserved) == 60);

static_assert(sizeof(dvae_run_options) == 32);
static_assert(offsetof(dvae_run_options, threads) == 8);
static_assert(offsetof(dvae_run_options, reserved) == 12);
static_assert(offsetof(dvae_run_options, progress) == 16);
static_assert(offsetof(dvae_run_options, progress_context) == 24);

static_assert(sizeof(dvae_info) == 64);
static_assert(offsetof(dvae_info, latent_dim) == 8);
static_assert(offsetof(dvae_info, height) == 16);
static_assert(offsetof(dvae_info, width) == 24);
static_assert(offsetof(dvae_info, labels) == 32);
static_assert(offsetof(dvae_info, dataset) == 40);
static_assert(offsetof(dvae_info, runtime_version) == 48);
static_assert(offsetof(dvae_info, runtime_library) == 56);
#endif
