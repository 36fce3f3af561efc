// one_digit MODEL ORT_LIBRARY ROUNDS: microseconds for one digit on a warm handle, beside a bare OrtApi::Run.
// Prints "name median-microseconds" lines, the bare run first. All take turns in every round, so that what else
// the machine does falls on all of them.
#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <digitvae/digitvae.hpp>
#include <functional>
#include <string>
#include <vector>

namespace {

constexpr int kCallsInRound = 200;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "one_digit: %s\n", what.c_str());
  std::exit(1);
}

// The least that ONNX Runtime can do: one session, bound memory, one row, one thread.
class BareRun {
 public:
  BareRun(const char* model, const char* library, float* z, std::size_t latents, float* x, std::size_t pixels) {
    void* const code = dlopen(library, RTLD_NOW);
    if (code == nullptr) fail(dlerror());
    const auto base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(code, "OrtGetApiBase"));
    if (base == nullptr) fail(dlerror());
    api_ = base()->GetApi(20);
    if (api_ == nullptr) fail("ONNX Runtime is older than 1.20");
    OrtEnv* env = nullptr;
    OrtSessionOptions* options = nullptr;
    OrtMemoryInfo* memory = nullptr;
    check(api_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "one_digit", &env));
    check(api_->CreateSessionOptions(&options));
    check(api_->SetIntraOpNumThreads(options, 1));
    check(api_->CreateSession(env, model, options, &session_));
    check(api_->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    input_ = tensor(memory, z, latents);
    output_ = tensor(memory, x, pixels);
  }

  void operator()() const {
    const char* const input_name = "z";
    const char* const output_name = "x";
    OrtValue* output = output_;
    check(api_->Run(session_, nullptr, &input_name, &input_, 1, &output_name, 1, &output));
  }

 private:
  void check(OrtStatus* status) const {
    if (status != nullptr) fail(api_->GetErrorMessage(status));
  }

  OrtValue* tensor(const OrtMemoryInfo* memory, float* data, std::size_t columns) const {
    const std::int64_t shape[] = {1, static_cast<std::int64_t>(columns)};
    OrtValue* value = nullptr;
    check(api_->CreateTensorWithDataAsOrtValue(memory, data, columns * sizeof(float), shape, 2,
                                               ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
    return value;
  }

  const OrtApi* api_ = nullptr;
  OrtSession* session_ = nullptr;
  OrtValue* input_ = nullptr;
  OrtValue* output_ = nullptr;
};

double microseconds(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < kCallsInRound; ++i) call();
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count() / kCallsInRound;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: one_digit MODEL ORT_LIBRARY ROUNDS");
  const int rounds = std::atoi(argv[3]);
  dvae::OpenOptions open;
  open.ort_library = argv[2];
  const dvae::Decoder decoder(argv[1], open);
  const std::size_t pixels = decoder.info().pixels();
  std::vector<float> z = decoder.latents(1);
  std::vector<float> intensities(pixels);
  std::vector<std::uint8_t> bytes(pixels);
  const BareRun bare(argv[1], argv[2], z.data(), z.size(), intensities.data(), pixels);

  dvae_sample_options sampling = DVAE_SAMPLE_OPTIONS_INIT;
  sampling.threads = 1;
  dvae_run_options running = DVAE_RUN_OPTIONS_INIT;
  running.threads = 1;
  const auto check = [](dvae_status status) {
    if (status != DVAE_OK) fail(dvae_last_error());
  };
  struct Contender {
    const char* name;
    std::function<void()> call;
    std::vector<double> times;
  };
  const std::size_t f32_bytes = pixels * sizeof(float);
  std::vector<Contender> contenders = {
      {"OrtApi::Run", bare, {}},
      {"dvae_sample_u8",
       [&] { check(dvae_sample_u8(decoder.get(), &sampling, 1, bytes.data(), pixels, nullptr)); },
       {}},
      {"dvae_sample_f32",
       [&] { check(dvae_sample_f32(decoder.get(), &sampling, 1, intensities.data(), f32_bytes, nullptr)); },
       {}},
      {"dvae_decode_u8",
       [&] { check(dvae_decode_u8(decoder.get(), z.data(), 1, bytes.data(), pixels, &running)); },
       {}},
      {"dvae_decode_f32",
       [&] { check(dvae_decode_f32(decoder.get(), z.data(), 1, intensities.data(), f32_bytes, &running)); },
       {}}};
  for (Contender& contender : contenders) microseconds(contender.call);  // warm up
  for (int round = 0; round < rounds; ++round) {
    for (Contender& contender : contenders) {
      ++sampling.seed;
      contender.times.push_back(microseconds(contender.call));
    }
  }
  for (Contender& contender : contenders) {
    std::nth_element(contender.times.begin(), contender.times.begin() + rounds / 2, contender.times.end());
    std::printf("%s %.3f\n", contender.name, contender.times[static_cast<std::size_t>(rounds / 2)]);
  }
}
