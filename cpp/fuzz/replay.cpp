// A fuzzer's inputs without a fuzzer: runs every file of the folders given. So any compiler, sanitizer and
// valgrind can see what a fuzzer once found.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "harness.hpp"

// Of libFuzzer, for mutators, which nobody calls here.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t*, std::size_t size, std::size_t) { return size; }

int main(int argc, char** argv) {
  std::size_t inputs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
      ++inputs;
    }
  }
  std::cout << inputs << " inputs\n";
  return inputs == 0 ? 1 : 0;
}
