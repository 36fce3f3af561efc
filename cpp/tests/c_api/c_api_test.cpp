// The C ABI: statuses, messages, options, handles. What it generates is in c_api_generate_test.cpp.
#include <digitvae/digitvae.h>
#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "support.hpp"

using namespace digitvae::testing;

namespace {

// A file that is gone when its test is over.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content) {
    static int number = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("digitvae-test-" + std::to_string(getpid()) + "-" + std::to_string(number++));
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

dvae_status open_bytes(const std::string& model, const dvae_open_options* options = nullptr) {
  dvae_decoder* decoder = reinterpret_cast<dvae_decoder*>(1);
  const dvae_status status = dvae_decoder_open_memory(model.data(), model.size(), options, &decoder);
  if (status == DVAE_OK) {
    dvae_decoder_close(decoder);
  } else {
    CHECK(decoder == nullptr);
    CHECK(std::strlen(dvae_last_error()) > 0);
  }
  return status;
}

}  // namespace

TEST_CASE("C: the library says its versions") {
  CHECK(std::string(dvae_version()) == "1.0.0");
  CHECK(dvae_abi_version() == DVAE_ABI_VERSION);
  CHECK(dvae_runtime_is_linked() == 0);
}

TEST_CASE("C: every status has its name, and other numbers have none") {
  CHECK(std::string(dvae_status_name(DVAE_OK)) == "DVAE_OK");
  CHECK(std::string(dvae_status_name(DVAE_INTERNAL_ERROR)) == "DVAE_INTERNAL_ERROR");
  CHECK(std::string(dvae_status_name(8)) == "unknown status");
  CHECK(std::string(dvae_status_name(-1)) == "unknown status");
}

TEST_CASE("C: a decoder opens from a file and tells what it is") {
  dvae_decoder* decoder = nullptr;
  REQUIRE(dvae_decoder_open(model_path("decoder.onnx").c_str(), nullptr, &decoder) == DVAE_OK);
  dvae_info info = DVAE_INFO_INIT;
  REQUIRE(dvae_decoder_info(decoder, &info) == DVAE_OK);
  CHECK(info.latent_dim == 40);
  CHECK(info.height == 28);
  CHECK(info.width == 28);
  CHECK(info.labels == 0);
  CHECK(std::string(info.dataset) == "mnist");
  CHECK(std::string(info.runtime_version).substr(0, 2) == "1.");
  CHECK(std::string(info.runtime_library) == environment("DIGITVAE_ORT_LIBRARY", "libonnxruntime.so.1"));
  const char* value = "untouched";
  CHECK(dvae_decoder_metadata(decoder, "digitvae.schema", &value) == DVAE_OK);
  CHECK(std::string(value) == "digitvae-bundle/1");
  CHECK(dvae_decoder_metadata(decoder, "digitvae.nothing", &value) == DVAE_OK);
  CHECK(value == nullptr);
  dvae_decoder_close(decoder);
}

TEST_CASE("C: memory that a model was opened from may change at once") {
  std::string model = read_model("encoder.onnx");
  dvae_encoder* encoder = nullptr;
  REQUIRE(dvae_encoder_open_memory(model.data(), model.size(), nullptr, &encoder) == DVAE_OK);
  model.assign(model.size(), '\0');
  const std::vector<std::uint8_t> image(784, 0);
  std::vector<float> mu(40, -9.0F);
  std::vector<float> logvar(40, -9.0F);
  CHECK(dvae_encode_u8(encoder, image.data(), 1, mu.data(), logvar.data(), 160, nullptr) == DVAE_OK);
  CHECK(mu[0] != -9.0F);
  dvae_encoder_close(encoder);
}

TEST_CASE("C: null pointers are refused by name, and closing nothing is allowed") {
  dvae_decoder* decoder = nullptr;
  CHECK(dvae_decoder_open(nullptr, nullptr, &decoder) == DVAE_INVALID_ARGUMENT);
  CHECK(std::string(dvae_last_error()) == "path is a null pointer");
  CHECK(dvae_decoder_open("x", nullptr, nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK(std::string(dvae_last_error()) == "handle is a null pointer");
  CHECK(dvae_decoder_open_memory(nullptr, 10, nullptr, &decoder) == DVAE_INVALID_ARGUMENT);
  CHECK(dvae_decoder_info(nullptr, nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK(dvae_encoder_info(nullptr, nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK(dvae_prior_info(nullptr, nullptr) == DVAE_INVALID_ARGUMENT);
  const char* value = nullptr;
  CHECK(dvae_decoder_metadata(nullptr, "x", &value) == DVAE_INVALID_ARGUMENT);
  dvae_decoder_close(nullptr);
  dvae_encoder_close(nullptr);
  dvae_prior_close(nullptr);
}

TEST_CASE("C: files that cannot be read are an I/O error that names them") {
  dvae_decoder* decoder = nullptr;
  CHECK(dvae_decoder_open("/nonexistent/decoder.onnx", nullptr, &decoder) == DVAE_IO_ERROR);
  CHECK_THAT(dvae_last_error(), Catch::Contains("/nonexistent/decoder.onnx") && Catch::Contains("No such file"));
  CHECK(dvae_decoder_open("/", nullptr, &decoder) == DVAE_IO_ERROR);
  CHECK_THAT(dvae_last_error(), Catch::Contains("is a folder"));
  CHECK(dvae_decoder_open("/dev/null", nullptr, &decoder) == DVAE_IO_ERROR);
  CHECK(dvae_decoder_open("", nullptr, &decoder) == DVAE_IO_ERROR);
  CHECK(decoder == nullptr);
}

TEST_CASE("C: a file that is no model is a model error that names the file") {
  const TemporaryFile junk("this is not a model");
  const TemporaryFile empty("");
  for (const TemporaryFile* file : {&junk, &empty}) {
    dvae_decoder* decoder = nullptr;
    CHECK(dvae_decoder_open(file->path().c_str(), nullptr, &decoder) == DVAE_MODEL_ERROR);
    CHECK_THAT(dvae_last_error(), Catch::Contains(file->path()));
  }
}

TEST_CASE("C: truncated and foreign models are a model error") {
  const std::string model = read_model("decoder.onnx");
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{100}, model.size() / 2, model.size() - 1}) {
    CHECK(open_bytes(model.substr(0, length)) == DVAE_MODEL_ERROR);
  }
  CHECK(open_bytes(read_model("encoder.onnx")) == DVAE_MODEL_ERROR);
  CHECK_THAT(dvae_last_error(), Catch::Contains("expected z float32 [batch, 40]"));
}

TEST_CASE("C: models with other names, types, ranks, opsets or metadata are a model error that says which") {
  // cpp/fuzz/make_corpus.py makes these, and says what is wrong with each in its name.
  std::size_t tried = 0;
  for (const auto& entry : std::filesystem::directory_iterator(environment("DIGITVAE_TEST_CORPUS"))) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("bad_decoder", 0) != 0) continue;
    INFO(name);
    dvae_decoder* decoder = nullptr;
    CHECK(dvae_decoder_open(entry.path().c_str(), nullptr, &decoder) == DVAE_MODEL_ERROR);
    CHECK(decoder == nullptr);
    CHECK_THAT(dvae_last_error(), Catch::Contains(name));
    for (const auto& [of, why] : {std::pair{"no_metadata", "no metadata 'digitvae.schema': it was not exported by"},
                                  std::pair{"height_zero", "'0', expected a number from 1 to 65536"},
                                  std::pair{"height_beyond", "'65537', expected a number from 1 to 65536"},
                                  std::pair{"height_huge", "'18446744073709551617', expected a number"},
                                  std::pair{"latent_dim_no_number", "'3x', expected a number"}}) {
      if (name == "bad_decoder_" + std::string(of) + ".onnx") CHECK_THAT(dvae_last_error(), Catch::Contains(why));
    }
    ++tried;
  }
  CHECK(tried >= 8);
}

TEST_CASE("C: one flipped bit in a model never does more than fail") {
  const std::string model = read_corpus("decoder_tiny.onnx");
  std::size_t opened = 0;
  for (std::size_t bit = 0; bit < model.size() * 8; bit += kUnderValgrind ? 43 : 5) {
    std::string flipped = model;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    dvae_decoder* decoder = nullptr;
    const dvae_status status = dvae_decoder_open_memory(flipped.data(), flipped.size(), nullptr, &decoder);
    if (status != DVAE_OK) {
      CHECK(status == DVAE_MODEL_ERROR);
      continue;
    }
    ++opened;
    dvae_info info = DVAE_INFO_INIT;
    REQUIRE(dvae_decoder_info(decoder, &info) == DVAE_OK);
    std::vector<float> images(3 * info.height * info.width, -5.0F);
    const dvae_status sampled =
        dvae_sample_f32(decoder, nullptr, 3, images.data(), images.size() * sizeof(float), nullptr);
    for (const float x : images) REQUIRE((x >= 0.0F && x <= 1.0F));  // images, or the zeros of a failure
    CHECK((sampled == DVAE_OK || sampled == DVAE_MODEL_ERROR || sampled == DVAE_RUNTIME_ERROR));
    dvae_decoder_close(decoder);
  }
  CHECK(opened > 0);  // most weights may change without a trace: that is what the manifest's hashes are for
}

TEST_CASE("C: a missing or old ONNX Runtime is a runtime error that says so") {
  const std::string model = read_model("decoder.onnx");
  dvae_open_options options = DVAE_OPEN_OPTIONS_INIT;
  options.ort_library = "/nonexistent/libonnxruntime.so";
  CHECK(open_bytes(model, &options) == DVAE_RUNTIME_ERROR);
  CHECK_THAT(dvae_last_error(), Catch::Contains("/nonexistent/libonnxruntime.so"));
  const std::string too_old = environment("DIGITVAE_TEST_TOO_OLD");
  options.ort_library = too_old.c_str();
  CHECK(open_bytes(model, &options) == DVAE_RUNTIME_ERROR);
  CHECK_THAT(dvae_last_error(), Catch::Contains("too old"));
  options.ort_library = "libm.so.6";
  CHECK(open_bytes(model, &options) == DVAE_RUNTIME_ERROR);
  options.ort_library = "";
  CHECK(open_bytes(model, &options) == DVAE_INVALID_ARGUMENT);
}

TEST_CASE("C: an error of ONNX Runtime is a runtime error in its words, and its telemetry is off before all else") {
  const std::string failing = environment("DIGITVAE_TEST_FAILING");
  dvae_open_options options = DVAE_OPEN_OPTIONS_INIT;
  options.ort_library = failing.c_str();
  CHECK(open_bytes(read_model("decoder.onnx"), &options) == DVAE_RUNTIME_ERROR);
  CHECK_THAT(dvae_last_error(),
             Catch::Contains("creating session options: telemetry turned off 1 times") && Catch::Contains("1.99.0"));
}

TEST_CASE("C: every status has its name") {
  const char* const names[] = {"DVAE_OK",          "DVAE_INVALID_ARGUMENT", "DVAE_IO_ERROR",
                               "DVAE_MODEL_ERROR", "DVAE_RUNTIME_ERROR",    "DVAE_OUT_OF_MEMORY",
                               "DVAE_CANCELLED",   "DVAE_INTERNAL_ERROR"};
  for (dvae_status status = 0; status < 8; ++status) CHECK(std::string(dvae_status_name(status)) == names[status]);
  CHECK(std::string(dvae_status_name(8)) == "unknown status");
  CHECK(std::string(dvae_status_name(-1)) == "unknown status");
}

TEST_CASE("C: height and width are told apart") {
  const std::string model = read_corpus("decoder_tiny.onnx");
  dvae_decoder* decoder = nullptr;
  REQUIRE(dvae_decoder_open_memory(model.data(), model.size(), nullptr, &decoder) == DVAE_OK);
  dvae_info info = DVAE_INFO_INIT;
  REQUIRE(dvae_decoder_info(decoder, &info) == DVAE_OK);
  CHECK(info.struct_size == sizeof info);
  CHECK(info.height == 4);
  CHECK(info.width == 2);
  dvae_decoder_close(decoder);
}

TEST_CASE("C: a file larger than a model can be is not read") {
  char path[] = "/tmp/digitvae-test-XXXXXX";
  const int file = mkstemp(path);
  REQUIRE(file >= 0);
  REQUIRE(ftruncate(file, (off_t{1} << 30) + 1) == 0);  // a hole: it takes no room
  close(file);
  dvae_decoder* decoder = nullptr;
  CHECK(dvae_decoder_open(path, nullptr, &decoder) == DVAE_IO_ERROR);
  CHECK_THAT(dvae_last_error(), Catch::Contains("1073741825 bytes, expected at most 1 GiB"));
  unlink(path);
}

TEST_CASE("C: options are looked at before the file") {
  dvae_decoder* decoder = nullptr;
  const dvae_open_options unset{};
  CHECK(dvae_decoder_open("/nonexistent", &unset, &decoder) == DVAE_INVALID_ARGUMENT);
}

TEST_CASE("C: a struct without its size is refused, telling the macro") {
  dvae_open_options options{};
  CHECK(open_bytes(read_model("decoder.onnx"), &options) == DVAE_INVALID_ARGUMENT);
  CHECK_THAT(dvae_last_error(), Catch::Contains("_INIT") && Catch::Contains("dvae_open_options"));
  options.struct_size = sizeof options + 8;
  CHECK(open_bytes(read_model("decoder.onnx"), &options) == DVAE_INVALID_ARGUMENT);
  CHECK_THAT(dvae_last_error(), Catch::Contains("newer library"));
}

TEST_CASE("C: the last error belongs to its thread, and success leaves it alone") {
  dvae_decoder* decoder = nullptr;
  dvae_decoder_open(nullptr, nullptr, &decoder);
  const std::string here = dvae_last_error();
  REQUIRE(here == "path is a null pointer");
  std::string elsewhere = "unset";
  std::thread([&] { elsewhere = dvae_last_error(); }).join();
  CHECK(elsewhere.empty());
  float point[1];
  const float corners[4] = {0.0F, 1.0F, 2.0F, 3.0F};
  CHECK(dvae_grid_point(corners, 1, 0.5, 0.5, point, sizeof point) == DVAE_OK);
  CHECK(dvae_last_error() == here);
}

TEST_CASE("C: a message longer than its memory is cut between characters") {
  std::string path = "/nonexistent/";
  while (path.size() < 3000) path += "\xc3\xa9";  // é
  dvae_decoder* decoder = nullptr;
  CHECK(dvae_decoder_open(path.c_str(), nullptr, &decoder) == DVAE_IO_ERROR);
  const std::string message = dvae_last_error();
  CHECK((message.size() == 1023 || message.size() == 1022));
  CHECK(message.substr(message.size() - 2) == "\xc3\xa9");
}

TEST_CASE("C: messages hold nothing that a terminal obeys") {
  dvae_decoder* decoder = nullptr;
  CHECK(dvae_decoder_open("/no\x1b[31m\n\x7f\xc2\x9b\xc2\xa0\xc3\x9b", nullptr, &decoder) == DVAE_IO_ERROR);
  CHECK_THAT(dvae_last_error(), Catch::StartsWith("cannot read the model /no?[31m????\xc2\xa0\xc3\x9b: "));
}

TEST_CASE("C: opening and closing in a loop, from many threads, leaves nothing behind") {
  const std::string decoder_model = read_corpus("decoder_tiny.onnx");
  std::vector<std::thread> threads;
  std::vector<int> failures(16, 0);
  for (std::size_t t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        dvae_decoder* decoder = nullptr;
        std::vector<std::uint8_t> images;
        dvae_info info = DVAE_INFO_INIT;
        if (dvae_decoder_open_memory(decoder_model.data(), decoder_model.size(), nullptr, &decoder) != DVAE_OK ||
            dvae_decoder_info(decoder, &info) != DVAE_OK) {
          ++failures[t];
          continue;
        }
        images.resize(info.height * info.width);
        if (dvae_sample_u8(decoder, nullptr, 1, images.data(), images.size(), nullptr) != DVAE_OK) ++failures[t];
        dvae_decoder_close(decoder);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == std::vector<int>(16, 0));
}
