// Reading what callers pass, and refusing it by name before any work.
#pragma once

#include <digitvae/digitvae.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>

#include "base/error.hpp"
#include "model/decoder.hpp"
#include "model/encoder.hpp"
#include "model/mixture.hpp"
#include "schedule/tiles.hpp"

// What the opaque handles of the C ABI are.
struct dvae_decoder {
  digitvae::Decoder core;
};

struct dvae_encoder {
  digitvae::Encoder core;
};

struct dvae_prior {
  digitvae::Mixture core;
};

namespace digitvae::c_api {

template <typename T>
T& require(T* pointer, const char* name) {
  if (pointer == nullptr) throw InvalidArgument(std::string(name) + " is a null pointer");
  return *pointer;
}

void require_rows(std::size_t count);

// Bytes of an array [count, width] of elements of `size` bytes. Throws InvalidArgument if that is more
// than memory can be addressed.
std::size_t array_bytes(std::size_t count, std::size_t width, std::size_t size, const char* name);

// An array [count, width] that the library will write: not null, and large enough.
template <typename T>
void require_output(const T* out, std::size_t bytes, std::size_t count, std::size_t width, const char* name) {
  require(out, name);
  const std::size_t needed = array_bytes(count, width, sizeof(T), name);
  if (bytes < needed) {
    throw InvalidArgument(std::string(name) + " has " + std::to_string(bytes) + " bytes, expected at least " +
                          std::to_string(needed) + ": " + std::to_string(count) + " rows of " + std::to_string(width) +
                          " values of " + std::to_string(sizeof(T)));
  }
}

// The options that were given, or the defaults. `struct_size` tells which version of the struct the
// caller was compiled with: of an older one (whose size is in `older`) the rest keeps its defaults, a newer
// one is refused.
template <typename Options>
Options read_options(const Options* given, const Options& defaults, const char* name,
                     std::initializer_list<std::size_t> older = {}) {
  if (given == nullptr) return defaults;
  const std::size_t size = given->struct_size;
  if (size != sizeof(Options) && std::find(older.begin(), older.end(), size) == older.end()) {
    throw InvalidArgument("struct_size of " + std::string(name) + " is " + std::to_string(size) + ", expected " +
                          std::to_string(sizeof(Options)) + ": set it with the _INIT macro of " + name +
                          (size > sizeof(Options) ? ", or use a newer library" : ""));
  }
  Options options = defaults;
  std::memcpy(&options, given, size);
  options.struct_size = sizeof(Options);
  return options;
}

// The number of threads is checked; prior, digit and truncation are not.
dvae_sample_options read_sample_options(const dvae_sample_options* given);
dvae_run_options read_run_options(const dvae_run_options* given);

// A poll that reports `rows` rows of work as begin … begin + rows of `total`; empty without a callback.
Poll poll_of(dvae_progress progress, void* context, std::uint64_t begin, std::uint64_t rows, std::uint64_t total);

// Memory that `work` fills completely or not at all.
struct Output {
  void* memory;
  std::size_t bytes;
};

// Do `work`. If it fails once begun, the outputs become zeros: half a result must not pass for one.
// (InvalidArgument comes before any work, and leaves them alone.)
template <typename Work>
void all_or_zeros(std::initializer_list<Output> outputs, const Work& work) {
  try {
    work();
  } catch (const InvalidArgument&) {
    throw;
  } catch (...) {
    for (const Output& output : outputs) {
      if (output.memory != nullptr) std::memset(output.memory, 0, output.bytes);
    }
    throw;
  }
}

}  // namespace digitvae::c_api
