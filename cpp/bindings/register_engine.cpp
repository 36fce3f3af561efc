#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <typeinfo>
#include <vector>

#include "bindings.hpp"
#include "model/decoder.hpp"
#include "model/encoder.hpp"
#include "onnx/library.hpp"

namespace digitvae::bindings {

// Python makes objects without their constructor: by T.__new__(T), or by a subclass that never calls it. pybind11
// takes one for a T in memory of its own that nobody has written to. Here it is none: TypeError.

// Whether an object that claims to be a T holds one.
template <typename T>
bool holds(const pybind11::handle& object) {
  const pybind11::detail::type_info* const type = pybind11::detail::get_type_info(typeid(T));
  if (type == nullptr || PyObject_TypeCheck(object.ptr(), type->type) == 0) return true;  // which the caster will tell
  auto* const instance = reinterpret_cast<pybind11::detail::instance*>(object.ptr());
  return instance->get_value_and_holder(type).holder_constructed();
}

template <typename T, typename Caster>
struct OnlyMade : Caster {
  bool load(pybind11::handle source, bool convert) { return holds<T>(source) && Caster::load(source, convert); }
};

}  // namespace digitvae::bindings

// For use at the outermost level, before whatever passes a T or a shared_ptr of it.
#define DIGITVAE_ONLY_MADE(T)                                                                     \
  namespace pybind11::detail {                                                                    \
  template <>                                                                                     \
  class type_caster<T> : public digitvae::bindings::OnlyMade<T, type_caster_base<T>> {};          \
  template <>                                                                                     \
  class type_caster<std::shared_ptr<T>>                                                           \
      : public digitvae::bindings::OnlyMade<T, copyable_holder_caster<T, std::shared_ptr<T>>> {}; \
  }

DIGITVAE_ONLY_MADE(digitvae::Runtime)
DIGITVAE_ONLY_MADE(digitvae::Mixture)
DIGITVAE_ONLY_MADE(digitvae::Decoder)
DIGITVAE_ONLY_MADE(digitvae::Encoder)

namespace py = pybind11;

namespace digitvae::bindings {
namespace {

// `options`: what the network's constructor takes after its bytes.
template <typename Network, typename... Options>
std::unique_ptr<Network> load(const std::shared_ptr<Runtime>& runtime, const py::bytes& model, Options... options) {
  char* data = nullptr;
  py::ssize_t size = 0;
  if (PyBytes_AsStringAndSize(model.ptr(), &data, &size) != 0) throw py::error_already_set();
  std::unique_ptr<Network> network;
  without_gil([&](const Poll&) {
    network = std::make_unique<Network>(runtime, data, static_cast<std::size_t>(size), options...);
  });
  return network;
}

// The same for those with an optimized twin: whichever pays, the reference (false), or the twin (true).
template <typename Network>
std::unique_ptr<Network> load_variant(const std::shared_ptr<Runtime>& runtime, const py::bytes& model,
                                      std::optional<bool> optimized) {
  if (!optimized.has_value()) return load<Network>(runtime, model);
  return load<Network>(runtime, model, *optimized ? Variant::kOptimized : Variant::kReference);
}

bool is_optimized(const Decoder& decoder, std::size_t rows) {
  require_from_to(1, kTileRows, rows, "rows");
  return decoder.is_optimized(rows);
}

template <typename Network>
void def_info(py::class_<Network>& cls) {
  cls.def_property_readonly("latent_dim", [](const Network& network) { return network.info().latent_dim; })
      .def_property_readonly("height", [](const Network& network) { return network.info().height; })
      .def_property_readonly("width", [](const Network& network) { return network.info().width; })
      .def_property_readonly("dataset", [](const Network& network) { return network.info().dataset; });
}

// Where labels go, if anywhere.
std::optional<Labels> labels_of(const std::optional<py::buffer>& labels, const Mixture* prior, std::size_t count) {
  if (!labels.has_value()) return std::nullopt;
  if (prior == nullptr) throw py::value_error("labels were asked for but no prior is given: N(0, I) has none");
  return Labels(*labels, count);
}

void sample(const Decoder& decoder, const py::buffer& out, std::uint64_t seed, std::uint64_t first, unsigned threads,
            const Mixture* prior, std::vector<std::int32_t> digits, float truncation,
            const std::optional<py::buffer>& labels) {
  require_from_to(0, kMaxThreads, threads, "threads");
  const Rows images(out, "out", decoder.info().pixels(), true);
  const std::optional<Labels> classes = labels_of(labels, prior, images.count());
  std::int32_t* const numbers = classes.has_value() ? classes->numbers() : nullptr;
  const LatentSource source{seed, prior, std::move(digits), truncation};
  without_gil([&](const Poll& poll) {
    if (images.is_float()) {
      decoder.sample(source, first, images.count(), images.floats(), numbers, threads, poll);
    } else {
      decoder.sample(source, first, images.count(), images.bytes(), numbers, threads, poll);
    }
  });
}

void latents(const Decoder& decoder, const py::buffer& out, std::uint64_t seed, std::uint64_t first, unsigned threads,
             const Mixture* prior, std::vector<std::int32_t> digits, float truncation,
             const std::optional<py::buffer>& labels) {
  require_from_to(0, kMaxThreads, threads, "threads");
  const Rows z(out, "out", decoder.info().latent_dim, true);
  const std::optional<Labels> classes = labels_of(labels, prior, z.count());
  std::int32_t* const numbers = classes.has_value() ? classes->numbers() : nullptr;
  const LatentSource source{seed, prior, std::move(digits), truncation};
  float* const target = z.floats();
  without_gil([&](const Poll& poll) { decoder.latents(source, first, z.count(), target, numbers, threads, poll); });
}

void decode(const Decoder& decoder, const py::buffer& z, const py::buffer& out, unsigned threads) {
  require_from_to(0, kMaxThreads, threads, "threads");
  const Rows latents(z, "z", decoder.info().latent_dim, false);
  const Rows images(out, "out", decoder.info().pixels(), true);
  require_same_count(latents.count(), images.count(), "out");
  const float* const source = latents.floats();
  without_gil([&](const Poll& poll) {
    if (images.is_float()) {
      decoder.decode(source, latents.count(), images.floats(), threads, poll);
    } else {
      decoder.decode(source, latents.count(), images.bytes(), threads, poll);
    }
  });
}

void encode(const Encoder& encoder, const py::buffer& x, const py::buffer& mu, const py::buffer& logvar,
            unsigned threads) {
  require_from_to(0, kMaxThreads, threads, "threads");
  const Rows images(x, "x", encoder.info().pixels(), false);
  const Rows means(mu, "mu", encoder.info().latent_dim, true);
  const Rows log_variances(logvar, "logvar", encoder.info().latent_dim, true);
  require_same_count(images.count(), means.count(), "mu");
  require_same_count(images.count(), log_variances.count(), "logvar");
  float* const mu_out = means.floats();
  float* const logvar_out = log_variances.floats();
  without_gil([&](const Poll& poll) {
    if (images.is_float()) {
      encoder.encode<float>(images.floats(), images.count(), mu_out, logvar_out, threads, poll);
    } else {
      encoder.encode<std::uint8_t>(images.bytes(), images.count(), mu_out, logvar_out, threads, poll);
    }
  });
}

}  // namespace

void register_engine(py::module_& module) {
  module.attr("TILE_ROWS") = kTileRows;
  module.def("available_threads", &available_threads);

  // Python keeps no const; the class has no way to change after open().
  py::class_<Runtime, std::shared_ptr<Runtime>>(module, "Runtime")
      .def(py::init([](const std::string& path) {
             std::shared_ptr<const Runtime> opened;
             without_gil([&](const Poll&) { opened = Runtime::open(path); });  // loading takes a while
             return std::const_pointer_cast<Runtime>(opened);
           }),
           py::arg("path"))
      .def_property_readonly("path", [](const Runtime& runtime) { return runtime.path(); })
      .def_property_readonly("version", [](const Runtime& runtime) { return runtime.version(); });

  py::class_<Mixture>(module, "Mixture")
      .def(py::init(&load_variant<Mixture>), py::arg("runtime").none(false), py::arg("model"), py::kw_only(),
           py::arg("optimized") = py::none())
      .def_property_readonly("is_optimized", [](const Mixture& prior) { return prior.is_optimized(); })
      .def_property_readonly("latent_dim", [](const Mixture& prior) { return prior.info().latent_dim; })
      .def_property_readonly("labels", [](const Mixture& prior) { return prior.info().labels; })
      .def_property_readonly("dataset", [](const Mixture& prior) { return prior.info().dataset; });

  py::class_<Decoder> decoder(module, "Decoder");
  decoder
      .def(py::init(&load_variant<Decoder>), py::arg("runtime").none(false), py::arg("model"), py::kw_only(),
           py::arg("optimized") = py::none())
      .def("is_optimized", &is_optimized, py::arg("rows"))
      .def("sample", &sample, py::arg("out"), py::kw_only(), py::arg("seed"), py::arg("first"), py::arg("threads"),
           py::arg("prior") = py::none(), py::arg("digits") = py::tuple(), py::arg("truncation") = 1.0F,
           py::arg("labels") = py::none())
      .def("latents", &latents, py::arg("out"), py::kw_only(), py::arg("seed"), py::arg("first"), py::arg("threads"),
           py::arg("prior") = py::none(), py::arg("digits") = py::tuple(), py::arg("truncation") = 1.0F,
           py::arg("labels") = py::none())
      .def("decode", &decode, py::arg("z"), py::arg("out"), py::kw_only(), py::arg("threads"));
  def_info(decoder);

  py::class_<Encoder> encoder(module, "Encoder");
  encoder.def(py::init(&load<Encoder>), py::arg("runtime").none(false), py::arg("model"))
      .def("encode", &encode, py::arg("x"), py::arg("mu"), py::arg("logvar"), py::kw_only(), py::arg("threads"));
  def_info(encoder);
}

}  // namespace digitvae::bindings
