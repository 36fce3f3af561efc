// DIGITVAE_MULTIVERSION before a function compiles it for several instruction sets; the processor's
// best one is chosen when the library is loaded. For loops that vectorise and give the same bits in
// all of them. (The sanitizers' run-time libraries are not ready when that choice is made.)
#pragma once

#include <cstddef>  // defines __GLIBC__, which has the needed support in its loader

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define DIGITVAE_MULTIVERSION __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define DIGITVAE_MULTIVERSION
#endif
