// embedded [SEED [COUNT]]: what `minimal` does, with library and model in the program; only ONNX Runtime is outside.
// Prints digit 0 of a seed as text; with COUNT, writes digits 0 ... COUNT - 1 to stdout, a byte a pixel.
#include <digitvae_bundle.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <digitvae/digitvae.hpp>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

[[noreturn]] void fail_to_write() { throw std::system_error(errno, std::generic_category(), "cannot write"); }

void print_digit(const dvae::Decoder& decoder, const dvae::SampleOptions& options) {
  const dvae::Info& info = decoder.info();
  const std::vector<std::uint8_t> image = decoder.sample<std::uint8_t>(1, options);
  std::string text;
  for (std::size_t y = 0; y < info.height; ++y) {
    for (std::size_t x = 0; x < info.width; ++x) text += " .:-=+*#%@"[image[y * info.width + x] * 10 / 256];
    text += '\n';
  }
  if (std::fputs(text.c_str(), stdout) == EOF) fail_to_write();
}

void write_digits(const dvae::Decoder& decoder, const dvae::SampleOptions& options, std::uint64_t count) {
  const std::size_t pixels = decoder.info().pixels();
  const auto write = [&](std::uint64_t, std::size_t rows, const std::uint8_t* images, const std::int32_t*) {
    if (std::fwrite(images, pixels, rows, stdout) != rows) fail_to_write();  // passes through the library
    return false;
  };
  decoder.stream<std::uint8_t>(count, write, options);
}

// A mistake on the command line, as opposed to a failure at work.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

std::uint64_t parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  throw UsageError("'" + std::string(text) + "' is not a number from 0 to 2^64 - 1");
}

void run(int argc, char** argv) {
  if (argc > 3) throw UsageError("usage: embedded [SEED [COUNT]]");
  dvae::SampleOptions options;
  if (argc > 1) options.seed = parse_number(argv[1]);
  const std::uint64_t count = argc > 2 ? parse_number(argv[2]) : 0;

  setenv("ORT_DISABLE_TELEMETRY", "1", 0);  // ONNX Runtime would report its use over the network
  const dvae::Decoder decoder(digitvae_bundle_decoder, digitvae_bundle_decoder_size);
  if (argc > 2) {
    write_digits(decoder, options, count);
  } else {
    print_digit(decoder, options);
  }
  if (std::fflush(stdout) != 0) fail_to_write();  // on a full disk, the first to notice
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc, argv);
    return 0;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "embedded: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "embedded: %s\n", error.what());
    return 1;
  }
}
