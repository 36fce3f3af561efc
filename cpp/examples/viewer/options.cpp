#include "options.hpp"

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

const char* const kHelp =
    "usage: viewer --model FILE [options]\n"
    "\n"
    "Drag through the latent plane between four digits.\n"
    "\n"
    "  --model FILE      decoder.onnx of a bundle\n"
    "  --seed N          whose first four digits are the corners (default 0)\n"
    "  --at X,Y          where to start: shares of the way right and down, 0 to 1 (default 0.5,0.5)\n"
    "  --frame FILE.bmp  no window: write what it would show to FILE.bmp, replacing it\n"
    "  --help            print this\n"
    "\n"
    "Keys: space or n: the corners of the next seed; s: save a .bmp here; q or Esc: quit.\n"
    "\n"
    "ONNX Runtime is looked for where the environment variable DIGITVAE_ORT_LIBRARY says, else as\n"
    "libonnxruntime.so.1. Exit status: 0 done, 1 failed, 2 wrong usage.\n";

namespace {

std::uint64_t parse_seed(const std::string& text) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error == std::errc() && end == text.data() + text.size()) return seed;
  throw UsageError("--seed is '" + text + "', expected a whole number from 0 to 2^64 - 1");
}

bool is_share(double value) { return value >= 0.0 && value <= 1.0; }

Position parse_position(const std::string& text) {
  Position at{};
  int used = 0;
  const int numbers = std::sscanf(text.c_str(), "%lf,%lf%n", &at.right, &at.down, &used);
  if (numbers == 2 && text.c_str()[used] == '\0' && is_share(at.right) && is_share(at.down)) return at;
  throw UsageError("--at is '" + text + "', expected two numbers from 0 to 1, such as 0.25,0.5");
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
    } else if (option == "--model") {
      options.model = value();
    } else if (option == "--frame") {
      options.frame = value();
      if (std::filesystem::path(options.frame).extension() != ".bmp") {
        throw UsageError("--frame is '" + options.frame + "', expected a name that ends in .bmp");
      }
    } else if (option == "--seed") {
      options.seed = parse_seed(value());
    } else if (option == "--at") {
      options.at = parse_position(value());
    } else {
      throw UsageError("unknown option " + option);
    }
  }
  if (options.model.empty()) throw UsageError("--model is missing");
  return options;
}
