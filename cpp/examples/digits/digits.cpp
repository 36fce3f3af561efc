// digits: generate handwritten digits into a file, with the C++ layer of digitvae.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <digitvae/digitvae.hpp>
#include <exception>
#include <filesystem>

#include "image_file.hpp"
#include "options.hpp"

namespace {

volatile std::sig_atomic_t interrupted = 0;

// Called every 20 ms or so; true cancels the call that is under way. A signal handler may do next to nothing, so
// it leaves a note, and this is where the note is read.
bool report(std::uint64_t done, std::uint64_t total) {
  static const bool on_a_terminal = isatty(STDERR_FILENO) == 1;
  if (on_a_terminal) {
    std::fprintf(stderr, "%llu of %llu digits\r", static_cast<unsigned long long>(done),
                 static_cast<unsigned long long>(total));
    if (done == total) std::fputc('\n', stderr);
  }
  return interrupted != 0;
}

void generate(const Options& options) {
  // Before any work: a mistake should cost no time.
  require_known_format(options.output);
  if (!options.force && std::filesystem::exists(options.output)) {
    throw UsageError(options.output + " exists; --force overwrites it");
  }
  const dvae::Decoder decoder(options.model);
  const dvae::Info& info = decoder.info();
  const auto file = open_image_file(options.output, {options.count, info.height, info.width});

  dvae::SampleOptions sampling;
  sampling.seed = options.seed;
  sampling.first = options.first;
  sampling.threads = options.threads;
  sampling.progress = report;
  const auto write = [&](std::uint64_t, std::size_t count, const std::uint8_t* images, const std::int32_t*) {
    file->write(images, count);
    return interrupted != 0;
  };
  // However many there are, one chunk of them is in memory.
  decoder.stream<std::uint8_t>(options.count, write, sampling, file->chunk());
  file->commit();
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kFailed = 1;
  constexpr int kWrongUsage = 2;
  constexpr int kInterrupted = 128 + SIGINT;
  try {
    const Options options = parse(argc, argv);
    if (options.help) {
      std::fputs(kHelp, stdout);
      return 0;
    }
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);  // ONNX Runtime would report its use over the network
    std::signal(SIGINT, [](int) { interrupted = 1; });
    generate(options);
    return 0;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "digits: %s (--help lists the options)\n", error.what());
    return kWrongUsage;
  } catch (const dvae::Error& error) {
    if (error.status() == DVAE_CANCELLED) {
      std::fputs("digits: interrupted, nothing was written\n", stderr);
      return kInterrupted;
    }
    std::fprintf(stderr, "digits: %s\n", error.what());
    return error.status() == DVAE_INVALID_ARGUMENT ? kWrongUsage : kFailed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "digits: %s\n", error.what());
    return kFailed;
  }
}
