#include "c_api/arguments.hpp"

#include <algorithm>
#include <cstddef>

namespace digitvae::c_api {
namespace {

void require_threads(std::uint32_t threads) {
  constexpr std::uint32_t kMaxThreads = 1024;
  if (threads > kMaxThreads) {
    throw InvalidArgument("threads is " + std::to_string(threads) + ", expected at most " +
                          std::to_string(kMaxThreads) + " (0: all processors)");
  }
}

}  // namespace

void require_rows(std::size_t count) {
  if (count == 0) throw InvalidArgument("count is 0, expected at least 1");
}

std::size_t array_bytes(std::size_t count, std::size_t width, std::size_t size, const char* name) {
  constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max() / 2;  // what pointers can differ by
  if (width != 0 && count > kMax / width / size) {
    throw InvalidArgument(std::string(name) + " would hold " + std::to_string(count) + " rows of " +
                          std::to_string(width) + " values, more than memory can be addressed");
  }
  return count * width * size;
}

dvae_sample_options read_sample_options(const dvae_sample_options* given) {
  constexpr std::size_t kFirstVersion = offsetof(dvae_sample_options, truncation);
  const dvae_sample_options options =
      read_options(given, DVAE_SAMPLE_OPTIONS_INIT, "dvae_sample_options", {kFirstVersion});
  require_threads(options.threads);
  if (options.reserved != 0) {
    throw InvalidArgument("dvae_sample_options.reserved is not 0: use DVAE_SAMPLE_OPTIONS_INIT");
  }
  return options;
}

dvae_run_options read_run_options(const dvae_run_options* given) {
  const dvae_run_options options = read_options(given, DVAE_RUN_OPTIONS_INIT, "dvae_run_options");
  require_threads(options.threads);
  if (options.reserved != 0) throw InvalidArgument("dvae_run_options.reserved is not 0: use DVAE_RUN_OPTIONS_INIT");
  return options;
}

Poll poll_of(dvae_progress progress, void* context, std::uint64_t begin, std::uint64_t rows, std::uint64_t total) {
  if (progress == nullptr) return {};
  return [=](std::size_t done, std::size_t tiles) {
    const double share = static_cast<double>(done) / static_cast<double>(tiles);
    const auto rows_done = static_cast<std::uint64_t>(static_cast<double>(rows) * share);
    return progress(context, begin + std::min(rows_done, rows), total) != 0;
  };
}

}  // namespace digitvae::c_api
