#include "options.hpp"

#include <charconv>
#include <limits>
#include <string_view>
#include <system_error>

const char* const kHelp =
    "usage: digits --model FILE --output FILE [options]\n"
    "\n"
    "Generates handwritten digits.\n"
    "\n"
    "  --model FILE     decoder.onnx of a bundle\n"
    "  --output FILE    .pgm: one picture, the digits side by side; .idx: the format of MNIST\n"
    "  --seed N         which sequence of digits (default 0)\n"
    "  --first N        index of the first one in it (default 0)\n"
    "  --count N        how many (default 100)\n"
    "  --threads N      worker threads (default: one per processor)\n"
    "  --force          overwrite the output file\n"
    "  --help           print this\n"
    "\n"
    "ONNX Runtime is looked for where the environment variable DIGITVAE_ORT_LIBRARY says, else as\n"
    "libonnxruntime.so.1. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n";

namespace {

template <typename Number>
Number parse_number(const std::string& option, std::string_view text, Number least) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least) {
    throw UsageError(option + " is '" + std::string(text) + "', expected a whole number from " + std::to_string(least) +
                     " to " + std::to_string(std::numeric_limits<Number>::max()));
  }
  return number;
}

}  // namespace

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == argc) throw UsageError(option + " needs a value");
      return argv[++i];
    };
    if (option == "--help") {
      options.help = true;
      return options;
    } else if (option == "--force") {
      options.force = true;
    } else if (option == "--model") {
      options.model = value();
    } else if (option == "--output") {
      options.output = value();
    } else if (option == "--seed") {
      options.seed = parse_number<std::uint64_t>(option, value(), 0);
    } else if (option == "--first") {
      options.first = parse_number<std::uint64_t>(option, value(), 0);
    } else if (option == "--count") {
      options.count = parse_number<std::uint64_t>(option, value(), 1);
    } else if (option == "--threads") {
      options.threads = parse_number<std::uint32_t>(option, value(), 0);
    } else {
      throw UsageError("unknown option " + option);
    }
  }
  if (options.model.empty()) throw UsageError("--model is missing");
  if (options.output.empty()) throw UsageError("--output is missing");
  return options;
}
